package echo

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// What the tasks take, for their schemas. Each takes the sender's own members too; input
// reads them all.
type (
	sleepInput struct {
		MS   *int64         `json:"ms" doc:"Milliseconds to sleep." schema:"required,minimum=0,maximum=86400000"`
		Rest jsontext.Value `json:",embed"`
	}
	progressInput struct {
		Steps  *int64         `json:"steps" doc:"How many reports; 10 if not given." schema:"minimum=1,maximum=1000000"`
		StepMS *int64         `json:"step_ms" doc:"Milliseconds before each." schema:"minimum=0,maximum=86400000"`
		Rest   jsontext.Value `json:",embed"`
	}
	streamInput struct {
		Pieces  *int64         `json:"pieces" doc:"How many pieces; 10 if not given." schema:"minimum=1,maximum=1000000"`
		PieceMS *int64         `json:"piece_ms" doc:"Milliseconds before each." schema:"minimum=0,maximum=86400000"`
		Rest    jsontext.Value `json:",embed"`
	}
	failInput struct {
		Message   *string `json:"message" doc:"The error's text."`
		Times     *int64  `json:"times" doc:"How many attempts fail; all if missing." schema:"minimum=0,maximum=1000000"`
		Retryable bool    `json:"retryable" doc:"Whether the error is worth another attempt."`

		Upstream *schemas.Upstream `json:"upstream" doc:"What the event's upstream has: name, status, code, kind."`

		Rest jsontext.Value `json:",embed"`
	}
	hangInput struct {
		MS   *int64         `json:"ms" doc:"Milliseconds to stay; an hour if missing." schema:"minimum=0,maximum=86400000"`
		Rest jsontext.Value `json:",embed"`
	}
	panicInput struct {
		Message *string        `json:"message" doc:"What it panics with."`
		Rest    jsontext.Value `json:",embed"`
	}
	exitInput struct {
		Code  *int64         `json:"code" doc:"The exit code; 1 if missing." schema:"minimum=0,maximum=255"`
		Times *int64         `json:"times" doc:"How many attempts end it; all if missing." schema:"minimum=0,maximum=1000000"`
		Rest  jsontext.Value `json:",embed"`
	}
)

// taskSchemas are the schemas of the tasks. echo takes and gives anything.
func taskSchemas() map[string]processor.TaskSchema {
	return map[string]processor.TaskSchema{
		"echo":     {Description: "Returns input_data."},
		"sleep":    processor.Describe[sleepInput, Slept]("Sleeps.", sleepExample),
		"progress": processor.Describe[progressInput, Progressed]("Reports progress.", progressExample),
		"stream":   processor.Describe[streamInput, Streamed]("Streams output.", streamExample),
		"fail":     processor.Describe[failInput, Recovered]("Fails.", failExample),
		"hang":     processor.Describe[hangInput, Slept]("Goes on when it is told to stop.", hangExample),
		"panic":    processor.Describe[panicInput, any]("Panics.", panicExample),
		"exit":     processor.Describe[exitInput, Recovered]("Ends the processor's process.", exitExample),
	}
}

// What to send, for who sent something else.
const (
	sleepExample    = `{"ms": 1000}`
	progressExample = `{"steps": 10, "step_ms": 200}`
	streamExample   = `{"pieces": 10, "piece_ms": 200}`
	failExample     = `{"message": "no luck", "times": 2, "retryable": true}`
	hangExample     = `{"ms": 60000}`
	panicExample    = `{"message": "out of luck"}`
	exitExample     = `{"code": 1, "times": 1}`
)
