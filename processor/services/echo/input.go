package echo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// Bounds of the input.
const (
	maxMS    = int64(24 * time.Hour / time.Millisecond)
	maxCount = int64(1_000_000)
	// hangMS is how long hang stays if not told: long enough to be in
	// everybody's way, not for ever.
	hangMS       = int64(time.Hour / time.Millisecond)
	defaultCount = int64(10)
)

// input is what the tasks of the service take; absent members are nil. Members
// beyond them are the sender's own: to tell tasks apart, say.
type input struct {
	MS        *int64  `json:"ms"`
	Steps     *int64  `json:"steps"`
	StepMS    *int64  `json:"step_ms"`
	Pieces    *int64  `json:"pieces"`
	PieceMS   *int64  `json:"piece_ms"`
	Message   *string `json:"message"`
	Times     *int64  `json:"times"`
	Retryable bool    `json:"retryable"`
	Code      *int64  `json:"code"`
	// Upstream is what another system answered, as fail has it.
	Upstream *schemas.Upstream `json:"upstream"`

	Rest jsontext.Value `json:",embed"`
}

// Validate checks the bounds; it implements [processor.Validator].
func (in *input) Validate() error {
	bounds := [...]struct {
		name      string
		value     *int64
		low, high int64
	}{
		{"ms", in.MS, 0, maxMS},
		{"step_ms", in.StepMS, 0, maxMS},
		{"piece_ms", in.PieceMS, 0, maxMS},
		{"steps", in.Steps, 1, maxCount},
		{"pieces", in.Pieces, 1, maxCount},
		{"times", in.Times, 0, maxCount},
		{"code", in.Code, 0, 255},
	}
	for _, b := range bounds {
		if b.value != nil && (*b.value < b.low || *b.value > b.high) {
			return processor.Invalid(b.name, fmt.Sprintf("is %d; send a whole number from %d to %d", *b.value, b.low, b.high))
		}
	}
	return nil
}

// method is a task of the service; example is shown to who sent wrong input.
func method[Out any](
	example string, do func(context.Context, *processor.Context, input) (Out, error),
) processor.Handler {
	handler := processor.Method(do)
	return func(ctx context.Context, c *processor.Context) (any, error) {
		result, err := handler(ctx, c)
		var wrong *processor.InputError
		if errors.As(err, &wrong) {
			return nil, fmt.Errorf("%w; send for example %s", err, example)
		}
		return result, err
	}
}

func or[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}

func duration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
