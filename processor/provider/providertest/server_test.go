package providertest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// dialogue is one way of asking for a completion.
type dialogue struct {
	name, path, body string
	// text is where pieces of text stand in a stream's events, tokens where the output tokens do, at its end.
	text, done string
}

func dialogues() []dialogue {
	const vertex = "/v1beta1/projects/p/locations/l/publishers/google/models/m:"
	return []dialogue{
		{"responses", "/v1/responses", `{"model":"m","input":"one two"}`, "", ""},
		{"responses stream", "/v1/responses", `{"model":"m","input":[{"role":"user","content":"one two"}],"stream":true}`,
			"response.output_text.delta", "response.completed"},
		{"chat", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"one two"}]}`, "", ""},
		{"chat stream", "/v1/chat/completions",
			`{"model":"m","messages":[{"role":"user","content":"one two"}],"stream":true,` +
				`"stream_options":{"include_usage":true}}`,
			"content", "[DONE]"},
		{"messages", "/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"one two"}]}`, "", ""},
		{"messages stream", "/v1/messages",
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"one two"}]}],"stream":true}`,
			"text_delta", "message_stop"},
		{"vertex", vertex + "generateContent", `{"contents":[{"role":"user","parts":[{"text":"one two"}]}]}`, "", ""},
		{"vertex stream", vertex + "streamGenerateContent?alt=sse", `{"contents":[{"parts":[{"text":"one two"}]}]}`,
			"text", "STOP"},
	}
}

// post is the status and body of an answer, and the error with which reading it ended.
func post(t *testing.T, ctx context.Context, s *Server, path, body string) (status int, answer string, err error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer the-key")
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, string(b), err
}

// Every protocol repeats what it was asked, says the same every time, and ends its streams.
func TestEveryProtocolAnswers(t *testing.T) {
	for _, d := range dialogues() {
		t.Run(d.name, func(t *testing.T) {
			s := Start(t)
			status, first, err := post(t, t.Context(), s, d.path, d.body)
			if status != http.StatusOK || err != nil {
				t.Fatalf("got %d, %v: %s", status, err, first)
			}
			_, second, _ := post(t, t.Context(), s, d.path, d.body)
			if diff := cmp.Diff(first, second); diff != "" {
				t.Errorf("the second answer differs:\n%s", diff)
			}
			if d.done == "" {
				if !strings.Contains(first, `"You said: one two"`) || json.Unmarshal([]byte(first), new(map[string]any)) != nil {
					t.Errorf("got %s", first)
				}
				return
			}
			for _, want := range []string{`"You "`, `"said: "`, `"two"`, d.text, d.done} {
				if !strings.Contains(first, want) {
					t.Errorf("%s is missing in\n%s", want, first)
				}
			}
		})
	}
}

// Every protocol has every fault, streaming or not.
func TestEveryFault(t *testing.T) {
	for _, d := range dialogues() {
		stream := d.done != ""
		t.Run(d.name, func(t *testing.T) {
			s := Start(t)
			ask := func(a Answer) (int, string, error) {
				s.Script(a)
				return post(t, t.Context(), s, d.path, d.body)
			}
			refused, body, _ := ask(Answer{Status: 429, Message: "slow down"})
			if refused != 429 || !strings.Contains(body, "slow down") {
				t.Errorf("429: got %d %s", refused, body)
			}
			if _, body, err := ask(Answer{End: EndCut, EndAfter: 1}); err == nil || complete(body, stream) {
				t.Errorf("cut: got %v and %s", err, body)
			}
			if _, _, err := ask(Answer{End: EndCut, EndAfter: -1}); err == nil {
				t.Error("cut at once: got an answer")
			}
			if _, body, err := ask(Answer{End: EndSilent, EndAfter: 1}); err != nil || complete(body, stream) ||
				stream && strings.Contains(body, d.done) {
				t.Errorf("no end mark: got %v and %s", err, body)
			}
			if _, body, _ := ask(Answer{MalformedAfter: 1}); complete(body, stream) {
				t.Errorf("malformed: got %s", body)
			}
			_, body, _ = ask(Answer{NoUsage: true})
			if strings.Contains(body, `_tokens":2`) || strings.Contains(body, "usageMetadata") {
				t.Errorf("no usage: got %s", body)
			}
			if _, body, _ := ask(Answer{Status: 500, EchoSecrets: true}); !strings.Contains(body, "the-key") {
				t.Errorf("echo: got %s", body)
			}
			if !stream {
				return
			}
			if status, body, _ := ask(Answer{Status: 503, FailAfter: 1, Message: "broke off"}); status != 200 ||
				!strings.Contains(body, "broke off") || !strings.Contains(body, `"You "`) || strings.Contains(body, `"said: "`) {
				t.Errorf("failure in the stream: got %d %s", status, body)
			}
		})
	}
}

// complete reports whether a body has all that it should.
func complete(body string, stream bool) bool {
	if stream {
		return strings.Contains(body, `"two"`)
	}
	return json.Unmarshal([]byte(body), new(any)) == nil
}

// What never ends is sent until the client goes, and the server sees it go.
func TestEndlessUntilTheClientGoes(t *testing.T) {
	for _, d := range dialogues() {
		for _, endless := range []Endless{EndlessPieces, EndlessLine, EndlessEvent, EndlessComments, EndlessBody} {
			s := Start(t)
			s.Script(Answer{Endless: endless})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				_ = s.Await(ctx, func(r []Request) bool { return len(r) == 1 })
				cancel()
			}()
			if _, _, err := post(t, ctx, s, d.path, d.body); !errors.Is(err, context.Canceled) {
				t.Errorf("%s, %s: got %v", d.name, endless, err)
			}
			if err := s.Await(t.Context(), func(r []Request) bool { return r[0].Ended == "gone" }); err != nil {
				t.Error(err)
			}
		}
	}
}

// A gate holds a request after its pieces until it is released.
func TestGate(t *testing.T) {
	s := Start(t)
	s.Script(Answer{Gate: "g", HoldAfter: 1})
	d := dialogues()[1]
	type got struct {
		body string
		err  error
	}
	answered := make(chan got, 1)
	go func() {
		_, body, err := post(t, t.Context(), s, d.path, d.body)
		answered <- got{body, err}
	}()
	if err := s.AwaitHeld(t.Context(), "g", 1); err != nil {
		t.Fatal(err)
	}
	if r := s.Requests()[0]; r.Ended != "" || r.Key != "the-key" || r.Model != "m" || !r.Stream {
		t.Errorf("while held: %+v", r)
	}
	s.Release("g")
	if g := <-answered; g.err != nil || !strings.Contains(g.body, d.done) {
		t.Errorf("after release: %v, %s", g.err, g.body)
	}
}

// Scripts go by model first, and answers come as often as they say.
func TestScriptsByModel(t *testing.T) {
	s := Start(t)
	s.Script(Answer{Text: "any", Times: -1})
	s.ScriptModel("m", Answer{Text: "first"}, Answer{Text: "twice", Times: 2})
	var got []string
	for _, model := range []string{"m", "other", "m", "m", "m"} {
		_, body, _ := post(t, t.Context(), s, "/v1/responses", `{"model":"`+model+`","input":"x"}`)
		for _, text := range []string{"any", "first", "twice"} {
			if strings.Contains(body, `"`+text+`"`) {
				got = append(got, text)
			}
		}
	}
	if diff := cmp.Diff([]string{"first", "any", "twice", "twice", "any"}, got); diff != "" {
		t.Error(diff)
	}
}

// The control calls do what the methods do.
func TestControlOverHTTP(t *testing.T) {
	s := Start(t)
	for path, body := range map[string]string{
		"/fake/script": `{"model":"m","answers":[{"text":"scripted"}]}`, "/fake/revoke": `{"key":"old"}`,
		"/fake/release": `{"gate":"g"}`,
	} {
		if status, answer, err := post(t, t.Context(), s, path, body); status != http.StatusOK || err != nil {
			t.Errorf("%s: %d %v %s", path, status, err, answer)
		}
	}
	if status, _, _ := post(t, t.Context(), s, "/fake/script", `{"answer":{}}`); status != http.StatusBadRequest {
		t.Errorf("a misspelt script: got %d", status)
	}
	_, body, _ := post(t, t.Context(), s, "/v1/responses", `{"model":"m","input":"x"}`)
	if !strings.Contains(body, "scripted") {
		t.Errorf("got %s", body)
	}
	if s.next("m", "old").Status != http.StatusUnauthorized || !s.hold(t.Context(), "g") {
		t.Error("the key is not revoked, or the gate not released")
	}
	response, err := http.Get(s.URL + "/fake/requests") //nolint:noctx // a local server
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var requests []Request
	err = json.UnmarshalRead(response.Body, &requests)
	if err != nil || len(requests) != 1 || requests[0].Ended != "answered" {
		t.Errorf("got %v, %+v", err, requests)
	}
}
