package provider

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// asking is what has to be known of a request before its task starts.
type asking struct {
	model     string
	bytes     int // of its text, about
	maxOutput int64
}

// peek looks at a task without decoding it: it is done whenever the task's turn comes.
func peek(t *schemas.Task) asking {
	a := asking{bytes: len(t.InputData)}
	for _, part := range []jsontext.Value{t.Context, t.InputData} {
		if part.Kind() != jsontext.KindBeginObject {
			continue
		}
		for name, value := range schemas.Members(part) {
			switch string(name) {
			case "model":
				if value.Kind() == jsontext.KindString {
					a.model = string(schemas.Plain(value))
				}
			case "max_output_tokens", "max_tokens", "max_completion_tokens":
				if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n > 0 {
					a.maxOutput = n
				}
			case "images", "image":
				a.bytes -= min(len(value), a.bytes) // images are no text
			}
		}
	}
	return a
}
