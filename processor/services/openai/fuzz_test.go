package openai

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/providertest"
)

// FuzzStream: whatever a server streams, or answers at once, by either API and sent on or not, comes to an answer or to
// an error that says what to do; nothing is asked twice, and what is passed on is JSON.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		chunks(`{"id":"c","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}`,
			`{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`, "[DONE]"),
		chunks(toolChunk(`{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}`), finished),
		chunks(`{"error":{"message":"slow","code":429}}`), chunks(`{"object":"error","code":500}`),
		chunks(`{"type":"response.created","response":{"id":"r","model":"m"}}`,
			`{"type":"response.output_text.delta","delta":"hi"}`,
			`{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"a","name":"f"}}`,
			`{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}`,
			`{"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"message",`+
				`"content":[{"type":"output_text","text":"hi"}]}],"usage":{"input_tokens":1,"output_tokens":2}}}`),
		chunks(`{"type":"response.failed","response":{"error":{"code":"server_error","message":"no"}}}`),
		chunks(`{"type":"error","error":{"message":"no"}}`), "data: {\"delta\":\"\\ud800\"}\n\n", ": wait\n\nevent: x\n\n",
		`{"choices":[{"message":{"content":"hi","refusal":"no"},"finish_reason":"content_filter"}]}`,
		`{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, api := range []API{Responses, Chat} {
			for _, answer := range []*providertest.Replay{providertest.Stream(body), providertest.Document(body)} {
				p := replayed(t, api, answer)
				_, _, _ = providertest.Ask(t, p, question1())
				name := map[API]string{Responses: provider.RawResponses, Chat: provider.RawChat}[api]
				result, _ := p.Raw(t.Context(), name, "m", jsontext.Value(`{}`), func(d provider.Delta) error {
					if d.Event != nil && !d.Event.IsValid() {
						t.Errorf("no event: %s", d.Event)
					}
					return nil
				})
				if result.Raw != nil && !result.Raw.IsValid() {
					t.Errorf("no object: %s", result.Raw)
				}
				if answer.Requests() != 2 {
					t.Errorf("%d requests of two calls", answer.Requests())
				}
			}
		}
	})
}

// FuzzUsage: whatever stands where usage does, its parts are no larger than the whole.
func FuzzUsage(f *testing.F) {
	for _, seed := range []string{`{"prompt_tokens":3,"completion_tokens":4,"total_tokens":9,"completion_tokens_details":
		{"reasoning_tokens":2}}`, `{"input_tokens":5,"input_tokens_details":{"cached_tokens":9,"cache_write_tokens":-1}}`,
		`{"input_tokens":9223372036854775807,"output_tokens":9223372036854775807,"cost":1e9}`, `{"cost":"1"}`, `[`,
		`{"input_tokens":1,"cost_in_usd_ticks":9223372036854775807}`} {
		f.Add(seed, `"flex"`)
	}
	f.Fuzz(func(t *testing.T, usage, tier string) {
		u := readUsage(jsontext.Value(usage), jsontext.Value(tier))
		if u != nil && (u.Negative() || u.CachedTokens+u.CacheWriteTokens > u.InputTokens ||
			u.ReasoningTokens > u.OutputTokens || len(u.Tier) > maxTier) {
			t.Errorf("%s became %+v", usage, u)
		}
	})
}
