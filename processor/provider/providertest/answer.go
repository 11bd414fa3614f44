package providertest

import (
	"strings"
)

// Finish says why an answer ends.
type Finish string

// Why answers end.
const (
	Stop    Finish = "stop"
	Length  Finish = "length"
	Refusal Finish = "refusal"
	Tool    Finish = "tool"
)

// Ending is how a stream or body ends.
type Ending string

// Endings.
const (
	EndMarked Ending = ""      // as the protocol has it
	EndSilent Ending = "quiet" // the body ends in order, without the protocol's end mark
	EndCut    Ending = "cut"   // the connection is closed in mid-body
)

// Endless is what an answer never stops sending, until the client has gone.
type Endless string

// What never stops.
const (
	EndlessPieces   Endless = "pieces"   // well-formed pieces of text
	EndlessLine     Endless = "line"     // one line of a stream, which never ends
	EndlessEvent    Endless = "event"    // lines of one event, which never ends
	EndlessComments Endless = "comments" // comments, which streams may have
	EndlessBody     Endless = "body"     // a JSON document that never ends, streaming or not
)

// Answer is what one request gets. The zero value repeats the last text it was asked.
type Answer struct {
	// Text is streamed in Pieces, or word by word without those.
	Text     string    `json:"text,omitzero"`
	Pieces   []string  `json:"pieces,omitzero"`
	Thoughts string    `json:"thoughts,omitzero"`
	Tool     *ToolCall `json:"tool,omitzero"`
	Finish   Finish    `json:"finish,omitzero"`
	// Usage replaces what would be counted, one token a word.
	Usage *Usage `json:"usage,omitzero"`
	// NoUsage leaves usage out.
	NoUsage bool `json:"no_usage,omitzero"`
	// Images are the base64 images of a call for images, one of 1x1 pixels if there are none.
	Images []string `json:"images,omitzero"`

	// Status, if not 0, is a refusal by HTTP, with Code and Message in the protocol's form, or Body as
	// it is. With FailAfter it comes inside the stream, after so many pieces.
	Status    int    `json:"status,omitzero"`
	Code      string `json:"code,omitzero"`
	Message   string `json:"message,omitzero"`
	Body      string `json:"body,omitzero"`
	FailAfter int    `json:"fail_after,omitzero"`
	// Header is added to the answer's, and replaces what is there.
	Header map[string]string `json:"header,omitzero"`
	// EchoSecrets puts all that the request brought, keys included, into the error's message.
	EchoSecrets bool `json:"echo_secrets,omitzero"`

	// End, after EndAfter pieces (0: all of them). EndAfter -1 is before the first byte.
	End      Ending `json:"end,omitzero"`
	EndAfter int    `json:"end_after,omitzero"`
	// MalformedAfter sends what is no JSON after so many pieces, or instead of the body; -1 is at once.
	MalformedAfter int     `json:"malformed_after,omitzero"`
	ContentType    string  `json:"content_type,omitzero"`
	Endless        Endless `json:"endless,omitzero"`

	FirstDelayMS int `json:"first_delay_ms,omitzero"`
	PieceDelayMS int `json:"piece_delay_ms,omitzero"`
	// Gate is waited at after HoldAfter pieces, before any with 0, until it is released.
	Gate      string `json:"gate,omitzero"`
	HoldAfter int    `json:"hold_after,omitzero"`

	// Times is how many requests get this answer: 0 is one, -1 all that come.
	Times int `json:"times,omitzero"`
}

// ToolCall is a function that the model wants called.
type ToolCall struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // JSON
}

// Usage is in the normal form: Input and Output are totals that include the rest. Each
// protocol says it in its own way.
type Usage struct {
	Input        int64 `json:"input"`
	Cached       int64 `json:"cached,omitzero"`
	CacheWrite5m int64 `json:"cache_write_5m,omitzero"`
	CacheWrite1h int64 `json:"cache_write_1h,omitzero"`
	Output       int64 `json:"output"`
	Reasoning    int64 `json:"reasoning,omitzero"`
	// ReasoningApart counts reasoning beside completion_tokens, as xAI does in Chat Completions.
	ReasoningApart bool `json:"reasoning_apart,omitzero"`
	// CostTicks is xAI's cost_in_usd_ticks, 10^10 of them a dollar; 0 leaves it out.
	CostTicks int64 `json:"cost_ticks,omitzero"`
}

// complete is the answer to a call, with what was left out.
func (a Answer) complete(c *call) Answer {
	if a.Text == "" && len(a.Pieces) == 0 && a.Tool == nil {
		a.Text = "You said: " + c.said
	}
	if len(a.Pieces) == 0 {
		a.Pieces = words(a.Text)
	}
	a.Text = strings.Join(a.Pieces, "")
	if a.Finish == "" {
		a.Finish = Stop
		if a.Tool != nil {
			a.Finish = Tool
		}
	}
	if a.Usage == nil {
		reasoning := int64(len(words(a.Thoughts)))
		a.Usage = &Usage{
			Input:  int64(len(words(c.said))),
			Output: max(1, int64(len(a.Pieces))) + reasoning, Reasoning: reasoning,
		}
	}
	return a
}

// words are the words of a text, each with the white space after it.
func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.SplitAfter(text, " ")
}
