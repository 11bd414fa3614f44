package openai

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/providertest"
)

// replayed is a provider that gets the same answer every time.
func replayed(t testing.TB, api API, answer *providertest.Replay) *Provider {
	t.Helper()
	p, err := New(Options{BaseURL: "http://compatible.example/v1", APIKey: "key", API: api, Base: answer})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func question1() provider.Request {
	return provider.Request{Model: "m", Stream: true,
		Messages: []provider.Message{{Role: provider.RoleUser, Parts: []provider.Part{{Text: "x"}}}}}
}

func chunks(list ...string) string {
	return "data: " + strings.Join(list, "\n\ndata: ") + "\n\n"
}

func toolChunk(pieces ...string) string {
	return `{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[` + strings.Join(pieces, ",") + `]}}]}`
}

const finished = `{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`

// TestStreamsOfCompatibleServers: what vLLM, Ollama, LM Studio, llama.cpp and others write that OpenAI does not.
func TestStreamsOfCompatibleServers(t *testing.T) {
	two := []provider.ToolCall{{ID: "a", Name: "f", Arguments: `{"x":1}`}, {ID: "b", Name: "g", Arguments: `{"y":2}`}}
	for name, c := range map[string]struct {
		stream string
		text   string
		tools  []provider.ToolCall
		kind   provider.Kind // "" is an answer
		says   string
	}{
		"no end mark, but a reason to finish": {
			stream: chunks(`{"id":"c","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}`), text: "hi"},
		"an end mark without an empty line": {
			stream: chunks(`{"id":"c","choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}`) + "data: [DONE]\n",
			text:   "hi"},
		"neither": {stream: chunks(`{"id":"c","choices":[{"index":0,"delta":{"content":"hi"}}]}`), text: "hi",
			kind: provider.Cut},
		"nothing at all": {stream: "", kind: provider.Cut},
		"a second answer that has not ended": {stream: chunks(
			`{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"},{"index":1,"delta":{"content":"h"}}]}`),
			text: "hi", kind: provider.Cut},
		"no reason to finish, but an end mark": {
			stream: chunks(`{"choices":[{"delta":{"content":"hi"},"finish_reason":""}]}`, `[DONE]`), text: "hi"},
		"members nobody knows, and odd numbers": {stream: chunks(
			`{"id":"c","created":1700000000.25,"x_groq":{"id":"r"},"choices":[{"index":0,"stop_reason":null,`+
				`"delta":{"role":"assistant","content":"hi","reasoning":null},"logprobs":null}],"usage":null}`, `[DONE]`),
			text: "hi"},
		"half a character": {stream: chunks("{\"choices\":[{\"delta\":{\"content\":\"h\xc3\"},\"finish_reason\":\"stop\"}]}"),
			text: "h\uFFFD"},
		"a text of parts": {stream: chunks(
			`{"choices":[{"delta":{"content":[{"type":"text","text":"h"},{"text":"i"}]},"finish_reason":"stop"}]}`),
			text: "hi"},
		"carriage returns": {stream: strings.ReplaceAll(chunks(
			`{"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}`, "[DONE]"), "\n", "\r\n"), text: "hi"},

		"all tools at index 0": {tools: two, stream: chunks(
			toolChunk(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}`),
			toolChunk(`{"index":0,"id":"b","function":{"name":"g","arguments":"{\"y\":2}"}}`), finished, "[DONE]")},
		"no index": {tools: two, stream: chunks(
			toolChunk(`{"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}`,
				`{"id":"b","function":{"name":"g","arguments":"{\"y\":2}"}}`), finished, "[DONE]")},
		"each piece another id": {tools: two, stream: chunks(
			toolChunk(`{"index":0,"id":"a","function":{"name":"f"}}`),
			toolChunk(`{"index":0,"id":"q","function":{"arguments":"{\"x\":"}}`, `{"index":1,"id":"b","function":{"name":"g"}}`),
			toolChunk(`{"index":0,"id":"r","function":{"arguments":"1}"}}`,
				`{"index":1,"id":"s","function":{"arguments":"{\"y\":2}"}}`), finished, "[DONE]")},
		"the name with each piece": {tools: two[:1], stream: chunks(
			toolChunk(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}`),
			toolChunk(`{"index":0,"id":"a","function":{"name":"f","arguments":"1}"}}`), finished)},
		"no ids": {stream: chunks(toolChunk(`{"index":0,"function":{"name":"f","arguments":"{}"}}`,
			`{"index":1,"function":{"name":"g","arguments":"{}"}}`), finished),
			tools: []provider.ToolCall{{ID: "call_0", Name: "f", Arguments: "{}"}, {ID: "call_1", Name: "g", Arguments: "{}"}}},
		"arguments as a document": {tools: two[:1], stream: chunks(
			toolChunk(`{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}`), finished)},

		"an error as a text": {stream: chunks(`{"error":"out of memory"}`), kind: provider.Overloaded, says: "out of memory"},
		"an error beside the rest": {stream: chunks(
			`{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}`, "[DONE]"),
			kind: provider.BadRequest, says: "too long"},
		"an error after text": {stream: chunks(`{"choices":[{"delta":{"content":"hi"}}]}`,
			`{"error":{"message":"slow","type":"requests","code":429}}`), text: "hi", kind: provider.RateLimited, says: "slow"},
		"an error of another form": {stream: chunks(`{"error":{"message":["a"],"code":{}}}`), kind: provider.Overloaded,
			says: `["a"]`},
	} {
		answer := providertest.Stream(c.stream)
		got, streamed, err := providertest.Ask(t, replayed(t, Chat, answer), question1())
		var e *provider.Error
		errors.As(err, &e)
		if (e == nil) != (c.kind == "") || e != nil && (e.Kind != c.kind || !strings.Contains(e.Message, c.says)) {
			t.Errorf("%s: got %v, want %q", name, err, c.kind)
		}
		if diff := cmp.Diff(c.tools, got.ToolCalls); diff != "" || got.Text != c.text || streamed != c.text {
			t.Errorf("%s: got %q, streamed %q\n%s", name, got.Text, streamed, diff)
		}
		if answer.Requests() != 1 {
			t.Errorf("%s: asked %d times", name, answer.Requests())
		}
	}
}

// TestDocumentsOfCompatibleServers: the same without a stream, and what all the calls make of an error with status 200.
func TestDocumentsOfCompatibleServers(t *testing.T) {
	for document, want := range map[string]struct {
		kind provider.Kind
		says string
	}{
		`{"error":"out of memory"}`:                                      {provider.Overloaded, "out of memory"},
		`{"object":"error","message":"too long","code":400}`:             {provider.BadRequest, "too long"},
		`{"error":{"message":"no such","code":"model_not_found"}}`:       {provider.BadRequest, "no such"},
		`{"error":"Unexpected endpoint or method. (POST /v1/whatever)"}`: {provider.BadRequest, "Unexpected endpoint"},
		`{"error":null}`: {provider.Cut, "cannot be read"},
		`[]`:             {provider.Cut, "cannot be read"},
		``:               {provider.Cut, "cannot be read"},
	} {
		for name, ask := range map[string]func(p *Provider) error{
			"chat": func(p *Provider) error {
				r := question1()
				r.Stop = []string{"x"} // what Responses does not have
				_, _, err := providertest.Ask(t, p, r)
				return err
			},
			"responses": func(p *Provider) error {
				_, err := p.completeByResponses(t.Context(), question1(), nil)
				return err
			},
			"embeddings": func(p *Provider) error {
				_, err := p.Embed(t.Context(), provider.EmbedRequest{Inputs: []string{"x"}})
				return err
			},
			"images": func(p *Provider) error {
				_, err := p.Image(t.Context(), provider.ImageRequest{Prompt: "x"})
				return err
			},
		} {
			answer := providertest.Document(document)
			var e *provider.Error
			if err := ask(replayed(t, Auto, answer)); !errors.As(err, &e) || e.Kind != want.kind ||
				!strings.Contains(e.Message, want.says) || answer.Requests() != 1 {
				t.Errorf("%s, %s: got %v, want %+v; asked %d times", document, name, err, want, answer.Requests())
			}
		}
	}
	whole := providertest.Document(`{"id":"c","created":1.5,"choices":[{"message":{"content":"hi","tool_calls":[
		{"id":"a","function":{"name":"f","arguments":{"x":1}}},{"id":"b","function":{"name":"g","arguments":"{}"}}]},
		"finish_reason":"tool_calls"}],"error":null}`)
	got, _, err := providertest.Ask(t, replayed(t, Chat, whole), question1())
	if err != nil || got.Text != "hi" || len(got.ToolCalls) != 2 || got.ToolCalls[0].Arguments != `{"x":1}` {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestServersWithoutResponsesInTheWild: a server says in its own way that it does not know the path. What is the
// model's fault is the answer.
func TestServersWithoutResponsesInTheWild(t *testing.T) {
	lacking := []providertest.Answer{
		{Status: 404, Body: "404 page not found", ContentType: "text/plain"},                              // Ollama
		{Status: 404, Body: `{"detail":"Not Found"}`},                                                     // vLLM, SGLang
		{Status: 404, Body: `{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}`}, // llama.cpp
		{Status: 404, Body: `{"error":{"code":"404","message":"Resource not found"}}`},                    // Azure
		{Status: 405, Body: `{"detail":"Method Not Allowed"}`},
		{Status: 501, Body: ""},
		{Status: 200, Body: `{"error":"Unexpected endpoint or method. (POST /v1/responses)"}`}, // LM Studio
	}
	for _, answer := range lacking {
		p, s := start(t, Auto)
		s.Script(answer)
		for range 2 {
			if got, err := p.Complete(t.Context(), question1(), func(provider.Delta) error { return nil }); err != nil ||
				got.Text != "You said: x" {
				t.Errorf("%+v: got %+v, %v", answer, got, err)
			}
		}
		if paths := pathsOf(s); paths != "responses chat/completions chat/completions" {
			t.Errorf("%+v: asked %s", answer, paths)
		}
	}
	unknown := providertest.Answer{Status: 404, Times: -1,
		Body: `{"error":{"message":"The model m does not exist.","type":"NotFoundError","param":"model","code":404}}`}
	p, s := start(t, Auto)
	s.Script(unknown)
	var e *provider.Error
	for range 2 {
		if _, err := p.Complete(t.Context(), question1(), nil); !errors.As(err, &e) || e.Kind != provider.BadRequest ||
			!strings.Contains(e.Message, "does not exist") {
			t.Errorf("an unknown model: got %v", err)
		}
	}
	if paths := pathsOf(s); strings.Count(paths, "responses") != 2 {
		t.Errorf("an unknown model says that there is no Responses: asked %s", paths)
	}
}

func pathsOf(s *providertest.Server) string {
	var paths []string
	for _, r := range s.Requests() {
		paths = append(paths, strings.TrimPrefix(r.Path, "/v1/"))
	}
	return strings.Join(paths, " ")
}

// TestLimitsOfOpenAI: names that are too long are sent as something that is the same every time, and the most tokens by
// the name that its newer models want.
func TestLimitsOfOpenAI(t *testing.T) {
	r := question1()
	r.User, r.PromptCacheKey, r.MaxOutputTokens = strings.Repeat("u", 65), strings.Repeat("k", 64), 5
	var bodies []string
	for _, base := range []string{"", "https://compatible.example/v1"} {
		for _, api := range []API{Responses, Chat} {
			sent := new(recorder)
			p, err := New(Options{BaseURL: base, APIKey: "key", API: api, Base: sent})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = p.Complete(t.Context(), r, nil)
			bodies = append(bodies, sent.body)
		}
	}
	for i, want := range []string{`"max_output_tokens":5`, `"max_completion_tokens":5`, `"max_output_tokens":5`,
		`"max_tokens":5`} {
		if !strings.Contains(bodies[i], want) || strings.Contains(bodies[i], r.User) ||
			!strings.Contains(bodies[i], identifier(r.User)) || !strings.Contains(bodies[i], r.PromptCacheKey) {
			t.Errorf("%d: sent %s, want %s", i, bodies[i], want)
		}
	}
	if a, b := identifier(strings.Repeat("a", 200)), identifier(strings.Repeat("a", 201)); a == b || len(a) != 64 {
		t.Errorf("%q and %q", a, b)
	}
}

// TestTiers: the tier that served a request has its own prices; the usual one has no name.
func TestTiers(t *testing.T) {
	const usage = `{"prompt_tokens":3,"completion_tokens":4,"input_tokens":3,"output_tokens":4}`
	for tier, want := range map[string]string{
		`"flex"`: "flex", `"priority"`: "priority", `"default"`: "", `"auto"`: "", `null`: "", `7`: "",
		`"` + strings.Repeat("x", 33) + `"`: "",
	} {
		for api, stream := range map[API]string{
			Chat: chunks(`{"id":"c","choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}`,
				fmt.Sprintf(`{"id":"c","service_tier":%s,"choices":[],"usage":%s}`, tier, usage), "[DONE]"),
			Responses: chunks(`{"type":"response.created","response":{"id":"r","service_tier":"auto"}}`,
				fmt.Sprintf(`{"type":"response.completed","response":{"id":"r","status":"completed","service_tier":%s,`+
					`"output":[],"usage":%s}}`, tier, usage)),
		} {
			got, _, err := providertest.Ask(t, replayed(t, api, providertest.Stream(stream)), question1())
			if err != nil || got.Usage == nil || got.Usage.Tier != want || got.Usage.OutputTokens != 4 {
				t.Errorf("%s by %s: got %+v, %v", tier, api, got.Usage, err)
			}
		}
	}
}

// TestRawEventsAreText: an event that is passed on is JSON, whatever the server cut.
func TestRawEventsAreText(t *testing.T) {
	p := replayed(t, Chat, providertest.Stream(chunks("{\"choices\":[{\"delta\":{\"content\":\"h\xc3\"}}]}", "[DONE]")))
	c := send(t, p, provider.RawChat, "", `{"model":"m"}`)
	if c.err != nil || c.text != "h\uFFFD" || len(c.events) != 1 || !c.result.Raw.IsValid() {
		t.Errorf("got %+v", c)
	}
}
