package openai

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/providertest"
)

// collected is what came of a body that was sent on.
type collected struct {
	text   string
	events []map[string]any
	result provider.Result
	err    error
}

func send(t *testing.T, p *Provider, name, model, body string) (c collected) {
	t.Helper()
	c.result, c.err = p.Raw(t.Context(), name, model, jsontext.Value(body), func(d provider.Delta) error {
		c.text += d.Text
		if d.Event != nil {
			event := make(map[string]any)
			if err := json.Unmarshal(d.Event, &event); err != nil {
				t.Errorf("no event: %s", d.Event)
			}
			c.events = append(c.events, event)
		}
		return nil
	})
	return c
}

// Every event of a response is passed on, numbered from 0 without a gap, and the last has the result.
func TestRawResponses(t *testing.T) {
	p, s := start(t, Auto)
	s.Script(providertest.Answer{Text: "one two three", Thoughts: "hm", Tool: &providertest.ToolCall{ID: "c", Name: "f",
		Arguments: `{"a": 1}`}})
	c := send(t, p, provider.RawResponses, "", `{"model":"m","input":"x","background":true,"metadata":{"k":"v"}}`)
	if c.err != nil || c.text != "one two three" || c.result.Text != c.text {
		t.Fatalf("got %+v", c)
	}
	for i, event := range c.events {
		if event["sequence_number"] != float64(i) {
			t.Fatalf("event %d has number %v", i, event["sequence_number"])
		}
	}
	last := c.events[len(c.events)-1]
	object, err := json.Marshal(last["response"], json.Deterministic(true))
	if err != nil || last["type"] != "response.completed" ||
		providertest.Canonical(t, string(object)) != providertest.Canonical(t, string(c.result.Raw)) {
		t.Errorf("the last event is %v, the result %s", last, c.result.Raw)
	}
	sent := providertest.Canonical(t, string(s.Requests()[0].Body))
	if want := providertest.Canonical(t, `{"model":"m","input":"x","stream":true,"metadata":{"k":"v"}}`); sent != want {
		t.Errorf("sent %s", sent)
	}
}

// Chunks are passed on as they came, the one with the usage only to who asked for it, and make up the completion.
func TestRawChat(t *testing.T) {
	for _, asks := range []bool{false, true} {
		p, s := start(t, Auto)
		answer := providertest.Answer{Text: "one two three", Tool: &providertest.ToolCall{ID: "c", Name: "f",
			Arguments: `{"a": 1}`}}
		s.Script(answer, answer)
		body := `{"model":"other","messages":[{"role":"user","content":"x"}]}`
		if asks {
			body = `{"model":"other","messages":[{"role":"user","content":"x"}],"stream_options":{"include_usage":true}}`
		}
		c := send(t, p, provider.RawChat, "m", body)
		if c.err != nil || c.text != "one two three" || c.result.Finish != provider.FinishTools || c.result.Usage == nil {
			t.Fatalf("got %+v", c)
		}
		withUsage := 0
		for _, event := range c.events {
			if choices, _ := event["choices"].([]any); len(choices) == 0 {
				withUsage++
			}
		}
		if asks != (withUsage == 1) {
			t.Errorf("asked for usage: %v, chunks with it: %d", asks, withUsage)
		}
		// What the chunks make up is what a call without a stream has.
		whole, err := p.completeByChat(t.Context(), provider.Request{Model: "m", Messages: []provider.Message{
			{Role: provider.RoleUser, Parts: []provider.Part{{Text: "x"}}}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, got := providertest.Canonical(t, string(whole.Raw)), providertest.Canonical(t, string(c.result.Raw))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		sent := s.Requests()[0]
		if sent.Model != "m" || !sent.Stream || !strings.Contains(string(sent.Body), `"include_usage":true`) {
			t.Errorf("sent %s", sent.Body)
		}
	}
}

func TestRawEmbeddings(t *testing.T) {
	p, _ := start(t, Auto)
	c := send(t, p, provider.RawEmbeddings, "", `{"model":"m","input":["a","b"]}`)
	if c.err != nil || !strings.Contains(string(c.result.Raw), `"object":"list"`) || c.result.Usage == nil {
		t.Errorf("got %+v", c)
	}
}

// A failure is an error and no event: what a provider says there may have a key in it.
func TestRawFailures(t *testing.T) {
	for _, name := range []string{provider.RawResponses, provider.RawChat} {
		p, s := start(t, Auto)
		s.Script(providertest.Answer{Status: 500, Code: "server_error", FailAfter: 1, EchoSecrets: true},
			providertest.Answer{Status: 400, Message: "messages is empty", Code: "invalid_value"})
		c := send(t, p, name, "", `{"model":"m"}`)
		text, _ := json.Marshal(c.events)
		var e *provider.Error
		if !errors.As(c.err, &e) || e.Kind != provider.Overloaded || strings.Contains(string(text), "Bearer") {
			t.Errorf("%s: got %v and %s", name, c.err, text)
		}
		c = send(t, p, name, "", `{"model":"m"}`)
		if !errors.As(c.err, &e) || e.Status != 400 || e.Code != "invalid_value" || e.Message != "messages is empty" {
			t.Errorf("%s: got %+v", name, e)
		}
	}
	p, s := start(t, Auto)
	for _, body := range []string{`null`, `[]`, `{"a":1,"a":2}`, `{`} {
		var e *provider.Error
		if c := send(t, p, provider.RawResponses, "", body); !errors.As(c.err, &e) || e.Kind != provider.BadRequest {
			t.Errorf("%s: got %v", body, c.err)
		}
	}
	if c := send(t, p, "audio", "", `{}`); c.err == nil || len(s.Requests()) > 0 {
		t.Errorf("an unknown name: got %v, %d requests", c.err, len(s.Requests()))
	}
}
