package anthropic

import (
	"cmp"

	"github.com/aiecs/tasklane/schemas"
)

// usageWire is usage as Anthropic has it: input_tokens without what was read from the cache and written to it.
type usageWire struct {
	Input      int64 `json:"input_tokens"`
	CacheRead  int64 `json:"cache_read_input_tokens"`
	CacheWrite int64 `json:"cache_creation_input_tokens"`
	Written    struct {
		Hour int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation"`
	Output  int64 `json:"output_tokens"`
	Details struct {
		Thinking int64 `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
	Tier string `json:"service_tier"`
}

// update takes the numbers that come at a stream's end. They are totals; those that are left out stay.
func (u *usageWire) update(later usageWire) {
	u.Input, u.CacheRead = max(u.Input, later.Input), max(u.CacheRead, later.CacheRead)
	u.CacheWrite, u.Written.Hour = max(u.CacheWrite, later.CacheWrite), max(u.Written.Hour, later.Written.Hour)
	u.Output, u.Details.Thinking = max(u.Output, later.Output), max(u.Details.Thinking, later.Details.Thinking)
	u.Tier = cmp.Or(later.Tier, u.Tier)
}

// normal is the normal form: input with all that was read and written; nil if nothing was told. Without the stream's
// end the output is estimated from the bytes of it that came, the input is known all the same.
func (u usageWire) normal(ended bool, received int) *schemas.Usage {
	read, written := max(0, u.CacheRead), max(0, u.CacheWrite)
	n := schemas.Usage{InputTokens: max(0, u.Input) + read + written, CachedTokens: read, CacheWriteTokens: written,
		OutputTokens: max(0, u.Output)}
	n.CacheWrite1hTokens = min(max(0, u.Written.Hour), written)
	n.ReasoningTokens = min(max(0, u.Details.Thinking), n.OutputTokens)
	if u.Tier != "standard" && len(u.Tier) <= maxTier {
		n.Tier = u.Tier
	}
	if n.InputTokens == 0 {
		return nil // no message is free of input: it was left out
	}
	if !ended {
		n.OutputTokens, n.Estimated = max(n.OutputTokens, int64(float64(received)/bytesPerToken+0.999)), true
	}
	return &n
}

// maxTier is longer than the name of any service tier there is.
const maxTier = 32

// bytesPerToken is what a token is about.
const bytesPerToken = 3.5
