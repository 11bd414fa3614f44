package openai

import (
	"testing"

	"github.com/aiecs/tasklane/schemas"
)

// BenchmarkDelta is what one piece of a stream costs each of its readers.
func BenchmarkDelta(b *testing.B) {
	for name, piece := range map[string]*schemas.Event{
		"text": pieceEvent(1, 1, "a token "),
		"raw": pieceEvent(1, 1, "a token ", `{"type":"response.output_text.delta","sequence_number":7,`+
			`"item_id":"msg_68e2f0c1a7d88190b2b7d4","output_index":0,"content_index":0,"delta":"a token ","logprobs":[],`+
			`"obfuscation":"Zk3vQ9"}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			f := newResponseFold(recordOf("resp_1", `{"model":"m","input":"hi"}`))
			f.begin()
			f.take(stateEvent(1, schemas.Running))
			for b.Loop() {
				f.take(piece)
			}
		})
	}
	b.Run("chat", func(b *testing.B) {
		b.ReportAllocs()
		f := newChatFold(recordOf("chatcmpl-1", `{"model":"m"}`))
		for b.Loop() {
			f.take(pieceEvent(1, 1, "a token "))
		}
	})
}
