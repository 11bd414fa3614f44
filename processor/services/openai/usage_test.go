package openai

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// Usage as compatible servers write it, each in its way.
func TestUsageInTheWild(t *testing.T) {
	cost := func(c int64) *int64 { return &c }
	for document, want := range map[string]*schemas.Usage{
		``:     nil,
		`null`: nil,
		`{}`:   nil,
		`{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`:       nil,
		`{"prompt_tokens":"12"}`:                                           nil,
		`{"prompt_tokens":12,"completion_tokens":null}`:                    {InputTokens: 12},
		`{"prompt_tokens":12,"total_tokens":12}`:                           {InputTokens: 12},
		`{"prompt_tokens":-5,"completion_tokens":3}`:                       {OutputTokens: 3},
		`{"input_tokens":9,"output_tokens":4,"input_tokens_details":null}`: {InputTokens: 9, OutputTokens: 4},
		`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":50}}`: {
			InputTokens: 10, OutputTokens: 5, CachedTokens: 10},
		`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"completion_tokens_details":{"reasoning_tokens":2}}`: {
			InputTokens: 10, OutputTokens: 5, ReasoningTokens: 2},
		`{"prompt_tokens":10,"completion_tokens":5,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":2}}`: {
			InputTokens: 10, OutputTokens: 7, ReasoningTokens: 2},
		`{"prompt_tokens":10,"completion_tokens":5,"cost":0.00012345}`: {InputTokens: 10, OutputTokens: 5,
			CostPicodollars: cost(123_450_000)},
		`{"prompt_tokens":10,"completion_tokens":5,"cost":0}`: {InputTokens: 10, OutputTokens: 5,
			CostPicodollars: cost(0)},
		`{"prompt_tokens":10,"completion_tokens":5,"cost":{"total_cost":1}}`: {InputTokens: 10, OutputTokens: 5},
		`{"prompt_tokens":10,"completion_tokens":5,"cost":-1}`:               {InputTokens: 10, OutputTokens: 5},
		`{"prompt_tokens":10,"completion_tokens":5,"cost":1e300}`:            {InputTokens: 10, OutputTokens: 5},
		`{"prompt_tokens":10,"completion_tokens":5,"cost_in_usd_ticks":3}`: {InputTokens: 10, OutputTokens: 5,
			CostPicodollars: cost(300)},
	} {
		if diff := cmp.Diff(want, readUsage(jsontext.Value(document), nil)); diff != "" {
			t.Errorf("%s:\n%s", document, diff)
		}
	}
}

// Whatever a provider writes, the parts are no larger than what they are parts of, and nothing is negative.
func TestUsageIsPossible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-10, 100))
		object := map[string]any{}
		for _, name := range []string{"input_tokens", "prompt_tokens", "output_tokens", "completion_tokens", "total_tokens"} {
			if rapid.Bool().Draw(t, name) {
				object[name] = number.Draw(t, name)
			}
		}
		details := func(name string) {
			object[name] = map[string]any{"cached_tokens": number.Draw(t, name),
				"cache_write_tokens": number.Draw(t, name), "reasoning_tokens": number.Draw(t, name)}
		}
		details("input_tokens_details")
		details("completion_tokens_details")
		u := readUsage(encoded(t, object), nil)
		if u == nil {
			return
		}
		if u.Negative() || u.CachedTokens+u.CacheWriteTokens > u.InputTokens || u.ReasoningTokens > u.OutputTokens {
			t.Fatalf("%v became %+v", object, u)
		}
	})
}

func encoded(t *rapid.T, v any) jsontext.Value {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
