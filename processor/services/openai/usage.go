package openai

import (
	"math"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// usageWire is usage as both APIs have it, each by its own names, with what compatible providers add.
type usageWire struct {
	InputTokens     *int64 `json:"input_tokens"`
	PromptTokens    *int64 `json:"prompt_tokens"`
	OutputTokens    *int64 `json:"output_tokens"`
	CompletionToken *int64 `json:"completion_tokens"`
	TotalTokens     int64  `json:"total_tokens"`

	InputDetails      usageDetails `json:"input_tokens_details"`
	PromptDetails     usageDetails `json:"prompt_tokens_details"`
	OutputDetails     usageDetails `json:"output_tokens_details"`
	CompletionDetails usageDetails `json:"completion_tokens_details"`

	// What xAI and OpenRouter charged: 10^10 ticks are a dollar, Cost is in dollars.
	CostTicks *int64         `json:"cost_in_usd_ticks"`
	Cost      jsontext.Value `json:"cost"`
}

type usageDetails struct {
	Cached     int64 `json:"cached_tokens"`
	CacheWrite int64 `json:"cache_write_tokens"`
	Reasoning  int64 `json:"reasoning_tokens"`
}

const picodollarsPerTick = schemas.Picodollars / 10_000_000_000

// readUsage is usage in the normal form, nil if there is none that can be read. The tier that served a request stands
// beside its usage.
func readUsage(raw, tier jsontext.Value) *schemas.Usage {
	var w usageWire
	if len(raw) == 0 || json.Unmarshal(raw, &w) != nil {
		return nil
	}
	input, output := first(w.InputTokens, w.PromptTokens), first(w.OutputTokens, w.CompletionToken)
	if atLeast0(input) == 0 && atLeast0(output) == 0 {
		return nil // nothing is free of both: it was left out
	}
	u := schemas.Usage{
		InputTokens: atLeast0(input), OutputTokens: atLeast0(output),
		CachedTokens:     max(0, w.InputDetails.Cached, w.PromptDetails.Cached),
		CacheWriteTokens: max(0, w.InputDetails.CacheWrite, w.PromptDetails.CacheWrite),
		ReasoningTokens:  max(0, w.OutputDetails.Reasoning, w.CompletionDetails.Reasoning),
	}
	// OpenAI counts reasoning as output. xAI counts it beside: then the total says so.
	if u.ReasoningTokens > 0 && w.TotalTokens-u.ReasoningTokens == u.InputTokens+u.OutputTokens {
		u.OutputTokens += u.ReasoningTokens
	}
	u.CachedTokens = min(u.CachedTokens, u.InputTokens)
	u.CacheWriteTokens = min(u.CacheWriteTokens, u.InputTokens-u.CachedTokens)
	u.ReasoningTokens = min(u.ReasoningTokens, u.OutputTokens)
	u.CostPicodollars = w.cost()
	u.Tier = tierOf(tier)
	return &u
}

// maxTier is longer than the name of any tier there is.
const maxTier = 32

// tierOf is a service tier that has prices of its own, "" for the usual one.
func tierOf(raw jsontext.Value) string {
	var tier string
	if raw.Kind() != '"' || json.Unmarshal(raw, &tier) != nil || len(tier) > maxTier || tier == "default" ||
		tier == "auto" {
		return ""
	}
	return tier
}

// cost is what the provider says it charged, nil if it does not.
func (w usageWire) cost() *int64 {
	switch {
	case w.CostTicks != nil && *w.CostTicks >= 0 && *w.CostTicks <= math.MaxInt64/picodollarsPerTick:
		cost := *w.CostTicks * picodollarsPerTick
		return &cost
	case w.Cost.Kind() == '0': // some write a document there
		var dollars float64
		if json.Unmarshal(w.Cost, &dollars) == nil && dollars >= 0 && dollars < math.MaxInt64/schemas.Picodollars {
			cost := int64(math.Round(dollars * schemas.Picodollars))
			return &cost
		}
	}
	return nil
}

func first(a, b *int64) *int64 {
	if a != nil {
		return a
	}
	return b
}

func atLeast0(n *int64) int64 {
	if n == nil {
		return 0
	}
	return max(0, *n)
}
