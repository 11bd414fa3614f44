package openai

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Deltas are nearly all that there is in streams. Those of an attempt that is compared with
// nothing are made here, in a tenth of the time, into what the general way makes of them.

// passes reports whether events of the provider's are passed on with no change but their
// number.
func (f *responseFold) passes() bool { return f.again == nil && f.shift == 0 && len(f.ids) == 0 }

// textDelta is a further piece of a text that has begun.
func (f *responseFold) textDelta(piece string) frame {
	const kind = "response.output_text.delta"
	f.made.said.WriteString(piece)
	f.sent.note(part{kind: kind, delta: true, text: []byte(piece)})
	b := make([]byte, 0, 200+len(piece))
	b = appendText(append(b, `{"content_index":0,"delta":`...), piece)
	b = appendText(append(b, `,"item_id":`...), f.made.id)
	b = append(b, `,"logprobs":[],"output_index":0,"sequence_number":`...)
	b = strconv.AppendInt(b, f.seq, 10)
	f.seq++
	return frame{event: kind, data: append(b, `,"type":"`+kind+`"}`...)}
}

// rawDelta is a delta of the provider's stream with a number of the door's; ok is false for
// whatever else it is.
func (f *responseFold) rawDelta(v jsontext.Value) (one frame, ok bool) {
	const number = `"sequence_number":`
	at := bytes.Index(v, []byte(number)) // no text has it: quotes are escaped there
	if !f.passes() || at < 0 || bytes.ContainsAny(v, "\r\n") {
		return frame{}, false
	}
	var said struct {
		Type    string  `json:"type"`
		Output  *int    `json:"output_index"`
		Content *int    `json:"content_index"`
		Delta   *string `json:"delta"`
	}
	if json.Unmarshal(v, &said) != nil || said.Delta == nil || said.Output == nil ||
		!strings.HasSuffix(said.Type, ".delta") {
		return frame{}, false
	}
	end := at + len(number)
	for end < len(v) && v[end] >= '0' && v[end] <= '9' {
		end++
	}
	if end == at+len(number) {
		return frame{}, false
	}
	p := part{kind: said.Type, output: *said.Output, content: -1, delta: true, text: []byte(*said.Delta)}
	if said.Content != nil {
		p.content = *said.Content
	}
	f.sent.note(p)
	b := make([]byte, 0, len(v)+8)
	b = strconv.AppendInt(append(b, v[:at+len(number)]...), f.seq, 10)
	f.seq++
	return frame{event: said.Type, data: append(b, v[end:]...)}, true
}

// appendText appends a text as JSON.
func appendText(b []byte, text string) []byte {
	quoted, err := jsontext.AppendQuote(b, text)
	if err != nil { // no UTF-8; what cannot be read is replaced
		quoted, _ = jsontext.AppendQuote(b, strings.ToValidUTF8(text, "\uFFFD"))
	}
	return quoted
}

// textChunk is a piece of a completion that has only text.
func (f *chatFold) textChunk(piece string) frame {
	f.sent = append(f.sent, piece...)
	b := make([]byte, 0, 300+len(piece))
	b = appendText(append(b, `{"choices":[{"delta":{"content":`...), piece)
	b = append(b, `},"finish_reason":null,"index":0,"logprobs":null}],"created":`...)
	b = appendText(append(strconv.AppendInt(b, f.created, 10), `,"id":`...), f.id)
	b = append(append(b, `,"model":`...), f.body["model"]...)
	b = append(b, `,"object":"chat.completion.chunk"`...)
	if f.wantsUsage {
		b = append(b, `,"usage":null`...)
	}
	return frame{data: append(b, '}')}
}
