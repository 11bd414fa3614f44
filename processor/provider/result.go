package provider

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Finish is why an answer ended.
type Finish string

// Finishes.
const (
	FinishStop    Finish = "stop"    // it was complete
	FinishLength  Finish = "length"  // it reached the most tokens
	FinishRefusal Finish = "refusal" // the model, or a filter, would not answer
	FinishTools   Finish = "tools"   // it asks for tools
)

// Result is an answer, or with an error what had come of it.
type Result struct {
	Provider string
	ID       string // the provider's
	Model    string // the one that answered
	Text     string
	Finish   Finish
	// ToolCalls are those that the model asks for.
	ToolCalls []ToolCall
	// Raw is the provider's own object of the whole answer, nil if there is none.
	Raw jsontext.Value
	// Usage is nil if the provider did not tell. Its cost is set if the provider told what it charged.
	Usage *schemas.Usage
}

// Delta is a piece of an answer.
type Delta struct {
	Text      string
	Reasoning string
	Tool      *ToolCall
	// Event is the event of the provider's own stream, as it came, where that was asked for.
	Event jsontext.Value
}

// EmbedResult is a vector for each input, in their order.
type EmbedResult struct {
	Model   string
	Vectors [][]float64
	Usage   *schemas.Usage
}

// ImageResult are images that were made.
type ImageResult struct {
	Model  string
	Images []Part
	Usage  *schemas.Usage
}
