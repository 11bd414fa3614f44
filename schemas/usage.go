package schemas

import (
	"math"
	"slices"
	"strings"
)

// Picodollars are in one US dollar: the unit of money, so that sums of prices of single tokens are exact.
const Picodollars = 1_000_000_000_000

// Usage is what a model was asked for, in one form for all providers. InputTokens and OutputTokens include
// everything; the others are parts of them.
type Usage struct {
	// Model is the one that answered. In a total over several models it is their names with commas between; Provider
	// is alike.
	Model    string `json:"model"`
	Provider string `json:"provider,omitzero"`

	InputTokens int64 `json:"input_tokens"`
	// CachedTokens were read from the provider's cache, CacheWriteTokens written to it, CacheWrite1hTokens of those for
	// an hour.
	CachedTokens       int64 `json:"cached_tokens,omitzero"`
	CacheWriteTokens   int64 `json:"cache_write_tokens,omitzero"`
	CacheWrite1hTokens int64 `json:"cache_write_1h_tokens,omitzero"`
	OutputTokens       int64 `json:"output_tokens"`
	ReasoningTokens    int64 `json:"reasoning_tokens,omitzero"`
	// Tier is the provider's service tier, where that has prices of its own: flex, priority, batch.
	Tier string `json:"service_tier,omitzero"`

	// CostPicodollars is in millionths of a millionth of a US dollar; nil is unknown, which is not zero.
	CostPicodollars *int64 `json:"cost_picodollars,omitzero"`
	// Estimated says that the provider did not tell: the tokens were counted from what was sent and received.
	Estimated bool `json:"estimated,omitzero"`
}

// maxUsageNames is how many models or providers a total names.
const maxUsageNames = 32

// Plus is the total of both. The cost of a total is unknown if that of a part is. Numbers stay at the largest.
func (u Usage) Plus(more Usage) Usage {
	if u.Model == "" {
		return more
	}
	if more.Model == "" {
		return u
	}
	total := Usage{
		Model: joinNames(u.Model, more.Model), Provider: joinNames(u.Provider, more.Provider),
		InputTokens:        addTokens(u.InputTokens, more.InputTokens),
		CachedTokens:       addTokens(u.CachedTokens, more.CachedTokens),
		CacheWriteTokens:   addTokens(u.CacheWriteTokens, more.CacheWriteTokens),
		CacheWrite1hTokens: addTokens(u.CacheWrite1hTokens, more.CacheWrite1hTokens),
		OutputTokens:       addTokens(u.OutputTokens, more.OutputTokens),
		ReasoningTokens:    addTokens(u.ReasoningTokens, more.ReasoningTokens),
		Estimated:          u.Estimated || more.Estimated, Tier: joinNames(u.Tier, more.Tier),
	}
	if u.CostPicodollars != nil && more.CostPicodollars != nil {
		cost := addTokens(*u.CostPicodollars, *more.CostPicodollars)
		total.CostPicodollars = &cost
	}
	return total
}

// Total is the sum of what was used, nil for nothing.
func Total(parts ...*Usage) *Usage {
	var total Usage
	for _, part := range parts {
		if part != nil {
			total = total.Plus(*part)
		}
	}
	if total.Model == "" {
		return nil
	}
	return &total
}

// Negative reports whether any of the numbers is below zero.
func (u Usage) Negative() bool {
	return min(u.InputTokens, u.CachedTokens, u.CacheWriteTokens, u.CacheWrite1hTokens, u.OutputTokens,
		u.ReasoningTokens) < 0 ||
		u.CostPicodollars != nil && *u.CostPicodollars < 0
}

// addTokens adds what is not negative, and stays at the largest number.
func addTokens(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// joinNames are the names of both, each once, in the order in which they came.
func joinNames(names, more string) string {
	if names == "" || names == more {
		return more
	}
	all := strings.Split(names, ", ")
	for _, name := range strings.Split(more, ", ") {
		if name != "" && !slices.Contains(all, name) && len(all) < maxUsageNames {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", ")
}
