package main

import (
	"strings"
	"testing"
)

func TestPricesOf(t *testing.T) {
	got, err := pricesOf([]byte(`{
		"sample_spec": {"litellm_provider": "openai", "input_cost_per_token": 1, "output_cost_per_token": 1},
		"gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
			"cache_read_input_token_cost": 0.0, "input_cost_per_token_above_272k_tokens": 5e-06, "max_output_tokens": 100,
			"output_cost_per_token_flex": 5e-06, "input_cost_per_token_above_272k_tokens_batches": 1.5e-6},
		"vertex_ai/g": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 1.25e-07},
		"xai/grok": {"litellm_provider": "xai", "input_cost_per_token": 3e-13, "output_cost_per_token": 6e-13},
		"by-the-second": {"litellm_provider": "openai", "input_cost_per_second": 1},
		"other": {"litellm_provider": "bedrock", "input_cost_per_token": 1}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{
"openai/gpt-x": {"in":2500000,"read":0,"out":10000000,"above":{"272000":{"in":5000000}},"tiers":{"batch":{"above":` +
		`{"272000":{"in":1500000}}},"flex":{"out":5000000}},"max_out":100},
"vertex/g": {"in":125000},
"xai/grok": {"in":0,"out":1}
}
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, bad := range []string{`[]`, `{"a":{"litellm_provider":"openai","input_cost_per_token":-1}}`} {
		if _, err := pricesOf([]byte(bad)); err == nil || strings.Contains(err.Error(), "panic") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
