package echo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// wait returns after d, or with the context's cause once that ends.
func wait(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Slept is the result of sleep and hang, in milliseconds.
type Slept struct {
	SleptMS int64 `json:"slept_ms"`
}

func sleep(ctx context.Context, _ *processor.Context, in input) (Slept, error) {
	if in.MS == nil {
		return Slept{}, processor.Invalid("ms", "is missing; say how many milliseconds to sleep")
	}
	return Slept{*in.MS}, wait(ctx, duration(*in.MS))
}

// hang does not look at the context: it is the service that does not stop when
// it should.
func hang(_ context.Context, _ *processor.Context, in input) (Slept, error) {
	ms := or(in.MS, hangMS)
	<-time.NewTimer(duration(ms)).C
	return Slept{ms}, nil
}

// Progressed is the result of progress.
type Progressed struct {
	Steps int64 `json:"steps"`
}

func progress(ctx context.Context, c *processor.Context, in input) (Progressed, error) {
	steps := or(in.Steps, defaultCount)
	for i := int64(1); i <= steps; i++ {
		if err := wait(ctx, duration(or(in.StepMS, 0))); err != nil {
			return Progressed{}, err
		}
		p := schemas.Progress{Percent: 100 * float64(i) / float64(steps), Current: i, Total: steps, Unit: "steps"}
		if err := c.Progress(ctx, p); err != nil {
			return Progressed{}, fmt.Errorf("report progress: %w", err)
		}
	}
	return Progressed{steps}, nil
}

// maxStreamed bounds the text in the result of stream, which has to fit into
// one event; the pieces themselves are all sent.
const maxStreamed = 64 << 10

// Streamed is the result of stream: the pieces' text put together, or its
// beginning if Truncated.
type Streamed struct {
	Pieces    int64  `json:"pieces"`
	Text      string `json:"text"`
	Truncated bool   `json:"truncated,omitzero"`
}

func stream(ctx context.Context, c *processor.Context, in input) (Streamed, error) {
	result := Streamed{Pieces: or(in.Pieces, defaultCount)}
	var text strings.Builder
	for i := int64(1); i <= result.Pieces; i++ {
		if err := wait(ctx, duration(or(in.PieceMS, 0))); err != nil {
			return Streamed{}, err
		}
		piece := fmt.Sprintf("piece %d of %d\n", i, result.Pieces)
		if err := c.Output(ctx, piece); err != nil {
			return Streamed{}, fmt.Errorf("report output: %w", err)
		}
		if text.Len()+len(piece) > maxStreamed {
			result.Truncated = true
			continue
		}
		text.WriteString(piece)
	}
	result.Text = text.String()
	return result, nil
}
