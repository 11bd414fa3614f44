package openai

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// frame is one server-sent event.
type frame struct {
	event string // "" for none
	data  []byte
}

// fold makes a stream of a task's record and events. It depends on nothing else, so that
// every instance makes the same one, whenever it is asked.
type fold interface {
	// begin is what stands before the first event.
	begin() []frame
	// take is what an event adds.
	take(e *schemas.Event) []frame
	// ended reports whether nothing more will come.
	ended() bool
}

// rawEvents are the events of a provider's stream that a piece of output was made of, nil
// for a piece that has only text.
func rawEvents(o *schemas.Output) []jsontext.Value { return listOf(o.Data) }

// usageOf is what was used, in the form of the Responses API, nil if it is not known.
func usageOf(u *schemas.Usage) object {
	if u == nil {
		return nil
	}
	return object{}.set("input_tokens", u.InputTokens).
		set("input_tokens_details", map[string]int64{"cached_tokens": u.CachedTokens}).
		set("output_tokens", u.OutputTokens).
		set("output_tokens_details", map[string]int64{"reasoning_tokens": u.ReasoningTokens}).
		set("total_tokens", u.InputTokens+u.OutputTokens)
}

// chatUsageOf is the same in the form of Chat Completions.
func chatUsageOf(u *schemas.Usage) object {
	if u == nil {
		return nil
	}
	return object{}.set("prompt_tokens", u.InputTokens).
		set("prompt_tokens_details", map[string]int64{"cached_tokens": u.CachedTokens}).
		set("completion_tokens", u.OutputTokens).
		set("completion_tokens_details", map[string]int64{"reasoning_tokens": u.ReasoningTokens}).
		set("total_tokens", u.InputTokens+u.OutputTokens)
}
