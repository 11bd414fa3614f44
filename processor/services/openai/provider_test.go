package openai

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/providertest"
)

// start is a provider that asks a fake.
func start(t *testing.T, api API) (*Provider, *providertest.Server) {
	t.Helper()
	s := providertest.Start(t)
	p, err := New(Options{BaseURL: s.URL + "/v1", APIKey: "key", Organization: "org", Project: "proj", API: api})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, s
}

// conversation has everything that a request can have.
func conversation() provider.Request {
	half := 0.5
	text := func(role, text string) provider.Message {
		return provider.Message{Role: role, Parts: []provider.Part{{Text: text}}}
	}
	return provider.Request{
		Model: "m", Instructions: "be short", MaxOutputTokens: 9, Temperature: &half, TopP: &half, PromptCacheKey: "k",
		User: "u", Stream: true,
		Tools:      jsontext.Value(`[{"type":"function","name":"find","parameters":{"type":"object"}}]`),
		ToolChoice: jsontext.Value(`"auto"`),
		Schema:     &provider.Schema{Name: "form", Schema: jsontext.Value(`{"type":"object"}`), Strict: true},
		Options:    map[string]jsontext.Value{"service_tier": jsontext.Value(`"flex"`)},
		Messages: []provider.Message{
			text(provider.RoleSystem, "in French"),
			{Role: provider.RoleUser, Parts: []provider.Part{{Text: "what is this"}, {ImageURL: "https://x.example/a.png"},
				{MIME: "image/png", Base64: "AAAA"}}},
			{Role: provider.RoleAssistant, ToolCalls: []provider.ToolCall{{ID: "c1", Name: "find", Arguments: `{"a":1}`}}},
			{Role: provider.RoleTool, ToolCallID: "c1", Parts: []provider.Part{{Text: "found"}}},
			text(provider.RoleAssistant, "well"),
			text(provider.RoleUser, "go on"),
		},
	}
}

// A request says the same by both APIs, each in its own words.
func TestRequests(t *testing.T) {
	for api, want := range map[API]string{
		Responses: `{"model":"m","instructions":"be short","max_output_tokens":9,"temperature":0.5,"top_p":0.5,
			"prompt_cache_key":"k","safety_identifier":"u","stream":true,"service_tier":"flex","tool_choice":"auto",
			"tools":[{"type":"function","name":"find","parameters":{"type":"object"}}],
			"text":{"format":{"type":"json_schema","name":"form","strict":true,"schema":{"type":"object"}}},
			"input":[{"role":"system","content":"in French"},
				{"role":"user","content":[{"type":"input_text","text":"what is this"},
					{"type":"input_image","detail":"auto","image_url":"https://x.example/a.png"},
					{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,AAAA"}]},
				{"type":"function_call","call_id":"c1","name":"find","arguments":"{\"a\":1}"},
				{"type":"function_call_output","call_id":"c1","output":"found"},
				{"role":"assistant","content":"well"},{"role":"user","content":"go on"}]}`,
		Chat: `{"model":"m","max_tokens":9,"temperature":0.5,"top_p":0.5,"prompt_cache_key":"k","user":"u","stream":true,
			"stream_options":{"include_usage":true},"service_tier":"flex","tool_choice":"auto",
			"tools":[{"type":"function","name":"find","parameters":{"type":"object"}}],
			"response_format":{"type":"json_schema",
				"json_schema":{"name":"form","strict":true,"schema":{"type":"object"}}},
			"messages":[{"role":"system","content":"be short"},{"role":"system","content":"in French"},
				{"role":"user","content":[{"type":"text","text":"what is this"},
					{"type":"image_url","image_url":{"url":"https://x.example/a.png"}},
					{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},
				{"role":"assistant","tool_calls":[{"id":"c1","type":"function",
					"function":{"name":"find","arguments":"{\"a\":1}"}}]},
				{"role":"tool","tool_call_id":"c1","content":"found"},
				{"role":"assistant","content":"well"},{"role":"user","content":"go on"}]}`,
	} {
		p, s := start(t, api)
		if _, err := p.Complete(t.Context(), conversation(), func(provider.Delta) error { return nil }); err != nil {
			t.Fatal(err)
		}
		r := s.Requests()[0]
		if diff := cmp.Diff(providertest.Canonical(t, want), providertest.Canonical(t, string(r.Body))); diff != "" {
			t.Errorf("%s:\n%s", api, diff)
		}
		if r.Header.Get("Openai-Organization") != "org" || r.Header.Get("Openai-Project") != "proj" || r.Key != "key" {
			t.Errorf("headers %v", r.Header)
		}
	}
}

// A server without Responses is asked by Chat Completions, and not tried again; an unknown model is no such server.
func TestServersWithoutResponses(t *testing.T) {
	p, s := start(t, Auto)
	r := provider.Request{Model: "m", Messages: []provider.Message{{Role: provider.RoleUser,
		Parts: []provider.Part{{Text: "hello"}}}}}
	s.Script(providertest.Answer{Status: 404, Code: "model_not_found", Message: "no such model"},
		providertest.Answer{Status: 404, Body: "404 page not found", ContentType: "text/plain"})
	var e *provider.Error
	if _, err := p.Complete(t.Context(), r, nil); !errors.As(err, &e) || e.Status != 404 {
		t.Errorf("unknown model: got %v", err)
	}
	for range 2 {
		if got, err := p.Complete(t.Context(), r, nil); err != nil || got.Text != "You said: hello" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	var paths []string
	for _, request := range s.Requests() {
		paths = append(paths, strings.TrimPrefix(request.Path, "/v1/"))
	}
	if diff := cmp.Diff([]string{"responses", "responses", "chat/completions", "chat/completions"}, paths); diff != "" {
		t.Error(diff)
	}
}

// Stop sequences are what Responses does not have.
func TestStopSequences(t *testing.T) {
	r := provider.Request{Model: "m", Stop: []string{"END"}, MaxOutputTokens: 5}
	p, s := start(t, Auto)
	if _, err := p.Complete(t.Context(), r, nil); err != nil {
		t.Fatal(err)
	}
	got := s.Requests()[0]
	if got.Path != "/v1/chat/completions" || !strings.Contains(string(got.Body), `"stop":["END"]`) ||
		!strings.Contains(string(got.Body), `"max_tokens":5`) {
		t.Errorf("sent %s to %s", got.Body, got.Path)
	}
	p, s = start(t, Responses)
	var e *provider.Error
	if _, err := p.Complete(t.Context(), r, nil); !errors.As(err, &e) || e.Retryable() || len(s.Requests()) != 0 {
		t.Errorf("got %v", err)
	}
}

func TestEmbeddings(t *testing.T) {
	p, s := start(t, Auto)
	got, err := p.Embed(t.Context(),
		provider.EmbedRequest{Model: "m", Inputs: []string{"a", "bcd"}, Dimensions: 3, User: "u"})
	if err != nil {
		t.Fatal(err)
	}
	diff := cmp.Diff([][]float64{{1, 0, 0.5}, {3, 1, 0.5}}, got.Vectors)
	if diff != "" || got.Usage == nil || got.Model != "m" {
		t.Errorf("got %+v\n%s", got, diff)
	}
	s.Script(providertest.Answer{Status: 200, Body: `{"data":[{"index":7,"embedding":[1]}]}`},
		providertest.Answer{Status: 200, Body: `{"data":[{"index":0,"embedding":[1]}],"usage":{"prompt_tokens":3}}`},
		providertest.Answer{Status: 200, Body: `{}`})
	for i := range 3 {
		var e *provider.Error
		if _, err := p.Embed(t.Context(), provider.EmbedRequest{Inputs: []string{"a", "b"}}); !errors.As(err, &e) ||
			e.Kind != provider.Cut {
			t.Errorf("%d: got %v", i, err)
		}
	}
}

func TestImages(t *testing.T) {
	p, s := start(t, Auto)
	s.Script(providertest.Answer{Images: []string{"AAAA", "BBBB"}})
	got, err := p.Image(t.Context(), provider.ImageRequest{Model: "m", Prompt: "a cat", N: 2, Size: "1024x1024"})
	want := []provider.Part{{MIME: "image/png", Base64: "AAAA"}, {MIME: "image/png", Base64: "BBBB"}}
	if diff := cmp.Diff(want, got.Images); err != nil || diff != "" || got.Usage == nil {
		t.Errorf("got %+v, %v\n%s", got, err, diff)
	}
	if body := string(s.Requests()[0].Body); providertest.Canonical(t, body) !=
		providertest.Canonical(t, `{"model":"m","prompt":"a cat","n":2,"size":"1024x1024"}`) {
		t.Errorf("sent %s", body)
	}
	for name, r := range map[string]provider.ImageRequest{
		"by address": {Images: []provider.Part{{ImageURL: "https://x.example/a.png"}}},
		"no base64":  {Images: []provider.Part{{Base64: "?"}}},
		"options": {Images: []provider.Part{{Base64: "AAAA"}},
			Options: map[string]jsontext.Value{"quality": jsontext.Value(`"low"`)}},
	} {
		var e *provider.Error
		if _, err := p.Image(t.Context(), r); !errors.As(err, &e) || e.Kind != provider.BadRequest {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What cannot work is refused at the start, without repeating what may be secret.
func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"no key":     {},
		"no URL":     {BaseURL: "://secret"},
		"no scheme":  {BaseURL: "secret.example/v1"},
		"ftp":        {BaseURL: "ftp://u:secret@x"},
		"no such":    {APIKey: "secret", API: "completions"},
		"no host":    {BaseURL: "http:///v1", APIKey: "secret"},
		"named, bad": {Name: "xai", BaseURL: "x"},
	} {
		_, err := New(o)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.HasPrefix(err.Error(), "set up ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if p, err := New(Options{BaseURL: "http://127.0.0.1:11434/v1"}); err != nil || p.Name() != "openai" {
		t.Errorf("a local server needs no key: %v", err)
	}
}

// TestCommentsOfAStream: what a server sends so that the connection is kept says nothing.
func TestCommentsOfAStream(t *testing.T) {
	const stream = `: waiting

data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":"stop"}]}

: waiting

data: [DONE]

`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, stream)
	}))
	t.Cleanup(server.Close)
	p, err := New(Options{BaseURL: server.URL, APIKey: "key", API: Chat})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	got, err := p.Complete(t.Context(), conversation(), func(provider.Delta) error { return nil })
	if err != nil || got.Text != "hello" {
		t.Errorf("got %+v, %v", got, err)
	}
}
