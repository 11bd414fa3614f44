package anthropic

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/providertest"
	"github.com/aiecs/tasklane/schemas"
)

// replayed is a provider that gets the same answer every time.
func replayed(t testing.TB, answer *providertest.Replay) *Provider {
	t.Helper()
	p, err := New(Options{APIKey: "key", Base: answer})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func asked() provider.Request {
	return provider.Request{Model: "m", Stream: true, Messages: []provider.Message{said(provider.RoleUser, "x")}}
}

// eventStream has the events of a stream, each with its name before it.
func eventStream(list ...string) string {
	var all strings.Builder
	for _, one := range list {
		kind, _, _ := strings.Cut(strings.TrimPrefix(one, `{"type":"`), `"`)
		fmt.Fprintf(&all, "event: %s\ndata: %s\n\n", kind, strings.ReplaceAll(one, "\n", " "))
	}
	return all.String()
}

func begun(usage string) string {
	return `{"type":"message_start","message":{"id":"msg","model":"m","usage":` + usage + `}}`
}

const (
	textBlock = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	textDelta = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello w"}}`
	stopped   = `{"type":"message_stop"}`
)

func ending(reason, usage string) string {
	return `{"type":"message_delta","delta":{"stop_reason":"` + reason + `"},"usage":` + usage + `}`
}

// TestUsageInTheWild: as Anthropic documents it, in a message and over the two places of a stream. input_tokens are
// those without the cache; the totals are worked out by hand.
func TestUsageInTheWild(t *testing.T) {
	for _, c := range []struct {
		name, start, end string
		want             *schemas.Usage
	}{
		{"plain", `{"input_tokens":25,"output_tokens":1}`, `{"output_tokens":15}`,
			&schemas.Usage{InputTokens: 25, OutputTokens: 15}},
		{"read from the cache", `{"input_tokens":25,"cache_read_input_tokens":1000,"output_tokens":1}`,
			`{"output_tokens":15}`, &schemas.Usage{InputTokens: 1025, CachedTokens: 1000, OutputTokens: 15}},
		{"written for 5 minutes and an hour", `{"input_tokens":2,"cache_read_input_tokens":100,
			"cache_creation_input_tokens":556,"cache_creation":{"ephemeral_5m_input_tokens":456,
			"ephemeral_1h_input_tokens":100},"output_tokens":1}`, `{"output_tokens":15}`,
			&schemas.Usage{InputTokens: 658, CachedTokens: 100, CacheWriteTokens: 556, CacheWrite1hTokens: 100,
				OutputTokens: 15}},
		{"totals again at the end", `{"input_tokens":25,"output_tokens":1}`,
			`{"input_tokens":30,"cache_read_input_tokens":4,"cache_creation_input_tokens":0,"output_tokens":15}`,
			&schemas.Usage{InputTokens: 34, CachedTokens: 4, OutputTokens: 15}},
		{"no usage at the end", `{"input_tokens":25,"output_tokens":7}`, `null`,
			&schemas.Usage{InputTokens: 25, OutputTokens: 7}},
		{"thinking", `{"input_tokens":25,"output_tokens":1}`,
			`{"output_tokens":150,"output_tokens_details":{"thinking_tokens":120}}`,
			&schemas.Usage{InputTokens: 25, OutputTokens: 150, ReasoningTokens: 120}},
		{"more thinking than output", `{"input_tokens":25,"output_tokens":1}`,
			`{"output_tokens":5,"output_tokens_details":{"thinking_tokens":120}}`,
			&schemas.Usage{InputTokens: 25, OutputTokens: 5, ReasoningTokens: 5}},
		{"more for an hour than written", `{"input_tokens":2,"cache_creation_input_tokens":5,
			"cache_creation":{"ephemeral_1h_input_tokens":100}}`, `{"output_tokens":15}`,
			&schemas.Usage{InputTokens: 7, CacheWriteTokens: 5, CacheWrite1hTokens: 5, OutputTokens: 15}},
		{"the usual tier", `{"input_tokens":25,"service_tier":"standard"}`, `{"output_tokens":15}`,
			&schemas.Usage{InputTokens: 25, OutputTokens: 15}},
		{"another tier", `{"input_tokens":25,"service_tier":"priority"}`, `{"output_tokens":15}`,
			&schemas.Usage{InputTokens: 25, OutputTokens: 15, Tier: "priority"}},
		{"a tier told at the end", `{"input_tokens":25}`, `{"output_tokens":15,"service_tier":"batch"}`,
			&schemas.Usage{InputTokens: 25, OutputTokens: 15, Tier: "batch"}},
		{"what cannot be", `{"input_tokens":-25,"cache_read_input_tokens":3}`, `{"output_tokens":-15}`,
			&schemas.Usage{InputTokens: 3, CachedTokens: 3}},
		{"nothing", `{"input_tokens":0,"output_tokens":0}`, `{"output_tokens":0}`, nil},
		{"none", `null`, `null`, nil},
	} {
		stream := eventStream(begun(c.start), textBlock, textDelta, ending("end_turn", c.end), stopped)
		got, _, err := providertest.Ask(t, replayed(t, providertest.Stream(stream)), asked())
		if diff := cmp.Diff(c.want, got.Usage); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

// TestStreamsInTheWild: blocks that are not for readers, pieces in odd places, errors in the middle.
func TestStreamsInTheWild(t *testing.T) {
	const used = `{"input_tokens":25,"output_tokens":1}`
	for _, c := range []struct {
		name   string
		stream string
		text   string
		finish provider.Finish
		kind   provider.Kind
	}{
		{"text that a block begins with", eventStream(begun(used),
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"oh, "}}`, textDelta,
			ending("end_turn", used), stopped), "oh, hello w", provider.FinishStop, ""},
		{"a search of the server's", eventStream(begun(used),
			`{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search"}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}`,
			`{"type":"content_block_start","index":1,"content_block":{"type":"web_search_tool_result","content":[]}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{}}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"hello w"}}`,
			ending("end_turn", used), stopped), "hello w", provider.FinishStop, ""},
		{"paused, to be continued", eventStream(begun(used), textBlock, textDelta, ending("pause_turn", used), stopped),
			"hello w", provider.FinishLength, ""},
		{"out of room", eventStream(begun(used), textBlock, textDelta, ending("model_context_window_exceeded", used),
			stopped), "hello w", provider.FinishLength, ""},
		{"at a stop sequence", eventStream(begun(used), textBlock, textDelta, ending("stop_sequence", used), stopped),
			"hello w", provider.FinishStop, ""},
		{"events nobody knows", eventStream(begun(used), `{"type":"ping"}`, `{"type":"of_tomorrow","what":[]}`, textDelta,
			ending("end_turn", used), stopped), "hello w", provider.FinishStop, ""},
		{"an end that is repeated", eventStream(begun(used), textBlock, textDelta, ending("max_tokens", used),
			ending("", used), stopped), "hello w", provider.FinishLength, ""},
		{"overloaded", eventStream(begun(used), textBlock, textDelta,
			`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), "hello w", provider.FinishStop,
			provider.Overloaded},
		{"no money", eventStream(`{"type":"error","error":{"type":"billing_error","message":"pay"}}`), "",
			provider.FinishStop, provider.Auth},
		{"no end", eventStream(begun(used), textBlock, textDelta, ending("end_turn", used)), "hello w", provider.FinishStop,
			provider.Cut},
	} {
		answer := providertest.Stream(c.stream)
		got, streamed, err := providertest.Ask(t, replayed(t, answer), asked())
		var e *provider.Error
		errors.As(err, &e)
		if (e == nil) != (c.kind == "") || e != nil && e.Kind != c.kind || got.Text != c.text || streamed != c.text ||
			got.Finish != c.finish || answer.Requests() != 1 {
			t.Errorf("%s: got %+v, streamed %q, %v", c.name, got, streamed, err)
		}
	}
}

// TestOutcomesBelongTogether: those of calls that were asked for at once are one message.
func TestOutcomesBelongTogether(t *testing.T) {
	p, s := start(t)
	outcome := func(id string) provider.Message {
		return provider.Message{Role: provider.RoleTool, ToolCallID: id, Parts: []provider.Part{{Text: "found " + id}}}
	}
	_, err := p.Complete(t.Context(), provider.Request{Model: "m", Messages: []provider.Message{
		{Role: provider.RoleAssistant, ToolCalls: []provider.ToolCall{{ID: "a", Name: "f"}, {ID: "b", Name: "f"}}},
		outcome("a"), outcome("b"), said(provider.RoleUser, "well?"), outcome("c"),
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	result := func(id string) string {
		return `{"type":"tool_result","tool_use_id":"` + id + `","is_error":false,
			"content":[{"type":"text","text":"found ` + id + `"}]}`
	}
	want := `{"model":"m","max_tokens":8192,"messages":[
		{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}},
			{"type":"tool_use","id":"b","name":"f","input":{}}]},
		{"role":"user","content":[` + result("a") + `,` + result("b") + `]},
		{"role":"user","content":[{"type":"text","text":"well?"}]},
		{"role":"user","content":[` + result("c") + `]}]}`
	got := string(s.Requests()[0].Body)
	if diff := cmp.Diff(providertest.Canonical(t, want), providertest.Canonical(t, got)); diff != "" {
		t.Error(diff)
	}
}

// FuzzStream: whatever is streamed, or answered at once, comes to an answer or to an error that says what to do.
func FuzzStream(f *testing.F) {
	const used = `{"input_tokens":25,"cache_creation":{"ephemeral_1h_input_tokens":3},"output_tokens":1}`
	for _, seed := range []string{
		eventStream(begun(used), textBlock, textDelta, ending("end_turn", used), stopped),
		eventStream(begun(used), `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a",
			"name":"f"}}`, `{"type":"content_block_delta","index":1,"delta":{"partial_json":"{}"}}`, stopped),
		eventStream(`{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}`),
		`{"type":"message","content":[{"type":"text","text":"hi"}],"stop_reason":"refusal","usage":{"input_tokens":3}}`,
		`{"type":"error","error":{"type":"api_error","message":"no"}}`, "data: \n\ndata: {}\n\n", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, answer := range []*providertest.Replay{providertest.Stream(body), providertest.Document(body)} {
			result, streamed, err := providertest.Ask(t, replayed(t, answer), asked())
			if result.Text != streamed || answer.Requests() != 1 {
				t.Errorf("%q was streamed, the result has %q (%v), asked %d times", streamed, result.Text, err,
					answer.Requests())
			}
		}
	})
}
