package provider

import (
	"math"
	"testing"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/schemas"
)

// TestCosts holds 24 kinds of usage against costs that were worked out by hand, in picodollars.
func TestCosts(t *testing.T) {
	money := func(picodollars int64) *config.Money { return new(config.Money(picodollars)) }
	prices, err := NewPrices(map[string]config.Price{
		"own/plain": {Input: money(2e12), Output: money(8e12)},                      // $2 and $8 a million
		"own/free":  {Input: money(0), Output: money(0)},                            // a model of one's own
		"own/read0": {Input: money(2e12), CacheRead: money(0), Output: money(8e12)}, // an explicit 0
		"own/input": {Input: money(2e12)},                                           // the output is not known
		"own/penny": {Input: money(1_500_000), Output: money(499_999)},              // 1.5 and 0.499999 a token
		"openai/o3": {Input: money(1e12), Output: money(1e12)},                      // over the built-in price
		"own/steps": {Input: money(1e12), Output: money(2e12), Above: []config.PriceAbove{
			{Tokens: 128_000, Input: money(3e12)},
			{Tokens: 200_000, Input: money(5e12), Output: money(9e12)},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	unknown := int64(-1)
	for _, test := range []struct {
		name, provider, model string
		usage                 schemas.Usage
		want                  int64
	}{
		{"input and output", "own", "plain", schemas.Usage{InputTokens: 1000, OutputTokens: 100}, 1000*2e6 + 100*8e6},
		{"nothing", "own", "plain", schemas.Usage{}, 0},
		{"a missing cache price is the input's", "own", "plain", schemas.Usage{InputTokens: 1000, CachedTokens: 400},
			1000 * 2e6},
		{"an explicit 0 stays 0", "own", "read0", schemas.Usage{InputTokens: 1000, CachedTokens: 400}, 600 * 2e6},
		{"a free model is not unknown", "own", "free", schemas.Usage{InputTokens: 7, OutputTokens: 9}, 0},
		{"a model that nobody knows", "own", "other", schemas.Usage{InputTokens: 7}, unknown},
		{"a provider that nobody knows", "other", "plain", schemas.Usage{InputTokens: 7}, unknown},
		{"an output without a price", "own", "input", schemas.Usage{InputTokens: 7, OutputTokens: 1}, unknown},
		{"no output, and none has a price", "own", "input", schemas.Usage{InputTokens: 7}, 14e6},
		{"a fraction of a picodollar a token is rounded", "own", "penny", schemas.Usage{InputTokens: 10, OutputTokens: 10},
			20},
		{"one's own price wins", "openai", "o3", schemas.Usage{InputTokens: 5, OutputTokens: 5}, 10e6},
		{"OpenAI, cached", "openai", "gpt-4o", schemas.Usage{InputTokens: 2006, CachedTokens: 1920, OutputTokens: 300},
			86*2_500_000 + 1920*1_250_000 + 300*10_000_000},
		{"OpenAI, reasoning is in the output", "openai", "gpt-5",
			schemas.Usage{InputTokens: 10, OutputTokens: 500, ReasoningTokens: 448},
			10*1_250_000 + 500*10_000_000},
		{"OpenAI, flex", "openai", "gpt-5", schemas.Usage{InputTokens: 10, CachedTokens: 4, OutputTokens: 5, Tier: "flex"},
			6*625_000 + 4*62_500 + 5*5_000_000},
		{"OpenAI, priority", "openai", "gpt-4o", schemas.Usage{InputTokens: 10, OutputTokens: 5, Tier: "priority"},
			10*4_250_000 + 5*17_000_000},
		{"OpenAI, a tier without prices", "openai", "gpt-4o", schemas.Usage{InputTokens: 10, Tier: "scale"}, 10 * 2_500_000},
		{"OpenAI, a snapshot that is not listed", "openai", "gpt-4o-2031-01-02", schemas.Usage{InputTokens: 1}, 2_500_000},
		{"OpenAI, embeddings", "openai", "text-embedding-3-small", schemas.Usage{InputTokens: 1000}, 20_000_000},
		{"Anthropic, read, 5 minutes and an hour", "anthropic", "claude-sonnet-4-5",
			schemas.Usage{InputTokens: 10_000, CachedTokens: 5000, CacheWriteTokens: 3000, CacheWrite1hTokens: 1000,
				OutputTokens: 100},
			2000*3_000_000 + 5000*300_000 + 2000*3_750_000 + 1000*6_000_000 + 100*15_000_000},
		{"Vertex, at the threshold", "vertex", "gemini-2.5-pro", schemas.Usage{InputTokens: 200_000, OutputTokens: 10},
			200_000*1_250_000 + 10*10_000_000},
		{"Vertex, above it the whole request", "vertex", "gemini-2.5-pro",
			schemas.Usage{InputTokens: 200_001, CachedTokens: 100_000, OutputTokens: 10, ReasoningTokens: 4},
			100_001*2_500_000 + 100_000*250_000 + 10*15_000_000},
		{"the highest threshold counts", "own", "steps", schemas.Usage{InputTokens: 300_000, OutputTokens: 1},
			300_000*5e6 + 9e6},
		{"between two thresholds", "own", "steps", schemas.Usage{InputTokens: 150_000, OutputTokens: 1}, 150_000*3e6 + 2e6},
		{"parts that are more than the whole", "own", "plain",
			schemas.Usage{InputTokens: 10, CachedTokens: 50, CacheWriteTokens: 50, ReasoningTokens: 9}, 10 * 2e6},
		{"a stream that was cut, estimated", "own", "plain", schemas.Usage{InputTokens: 3, OutputTokens: 1, Estimated: true},
			14e6},
		{"more than there is money", "own", "plain", schemas.Usage{InputTokens: math.MaxInt64}, unknown},
	} {
		got := prices.Cost(test.provider, test.model, test.usage)
		if test.want == unknown && got != nil {
			t.Errorf("%s: %d, want it unknown", test.name, *got)
		}
		if test.want != unknown && (got == nil || *got != test.want) {
			t.Errorf("%s: got %v, want %d", test.name, got, test.want)
		}
	}
}

// TestBuiltInPricesAreWhole: all of our providers are there, with prices that are none of a million tokens by mistake.
func TestBuiltInPricesAreWhole(t *testing.T) {
	prices, err := NewPrices(nil)
	if err != nil {
		t.Fatal(err)
	}
	for model, provider := range map[string]string{"gpt-4o": "openai", "claude-sonnet-4-5": "anthropic", "grok-4.3": "xai",
		"gemini-2.5-pro": "vertex", "nobody-knows": ""} {
		if got := prices.Provider(model); got != provider {
			t.Errorf("%s is of %q, want %q", model, got, provider)
		}
	}
	for name, p := range prices.models {
		if p.Input == nil || *p.Input > 1e9 || p.Output != nil && *p.Output > 1e9 {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if prices.maxOutput(target{"openai", "gpt-4o"}) != 16384 {
		t.Error("the most that gpt-4o answers is not known")
	}
}
