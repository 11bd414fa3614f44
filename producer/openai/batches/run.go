package batches

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/pace"
)

// Why a batch ends before all of its lines have.
var (
	errCancelled = errors.New("the batch was cancelled")
	errExpired   = errors.New("the batch's completion window is over")
)

const (
	// window is how many tasks of a batch may be on the lane at once: what a user has elsewhere is not behind all of it.
	window = 256
	// stopTime is how long a batch waits for tasks that it has cancelled.
	stopTime = 10 * time.Minute
)

// run is a batch that is being driven.
type run struct {
	config Config
	by     string
	state  *State
	// ctx ends with the runner; going ends when no more lines are to be sent as well.
	ctx   context.Context //nolint:containedctx // both are of the run, which is their owner
	going context.Context //nolint:containedctx // see above
	stop  context.CancelCauseFunc
	free  func()
	// refused are answers to lines that have become no task.
	mu      sync.Mutex
	refused map[int]Answer
}

func newRun(ctx context.Context, c Config, by string, state *State) *run {
	r := &run{config: c, by: by, state: state, ctx: ctx, refused: map[int]Answer{}}
	until, free := context.WithDeadlineCause(ctx, state.expiresAt(), errExpired)
	r.going, r.stop = context.WithCancelCause(until)
	r.free = func() { r.stop(nil); free() }
	return r
}

// end gives back what the run holds, and leaves the batch to others if it has not ended.
func (r *run) end() {
	r.free()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), 5*time.Second)
	defer cancel()
	if r.state.Ended() {
		_ = r.config.Book.open().Delete(ctx, r.state.ID) // found to have ended the next time
		return
	}
	_ = r.config.Book.claim(ctx, &r.state.Batch, "", time.Time{}) // it ends by itself
}

// drive does what is left to do.
func (r *run) drive() error {
	if r.state.Ended() {
		return nil
	}
	var kept sync.WaitGroup
	keeping, release := context.WithCancel(r.ctx)
	defer kept.Wait()
	defer release()
	if err := r.keep(r.ctx); err != nil {
		return err
	}
	kept.Go(func() {
		pace.Every(keeping, leaseTime/3, func() {
			if err := r.keep(keeping); err != nil && keeping.Err() == nil {
				r.config.Logger.Warn("a batch's claim cannot be written", "batch", r.state.ID, "error", err)
			}
		})
	})
	if r.state.cancelled != nil {
		r.stop(errCancelled)
	}
	if r.state.validated == nil {
		if err := r.validate(); err != nil || r.state.Ended() {
			return err
		}
	}
	if err := r.send(); err != nil {
		return err
	}
	return r.finalize()
}

// keep says that the batch is driven here, and looks whether it was cancelled elsewhere.
func (r *run) keep(ctx context.Context) error {
	if err := r.config.Book.claim(ctx, &r.state.Batch, r.by, time.Now().Add(leaseTime)); err != nil {
		return err
	}
	cancelled, err := factOf[moment](ctx, r.config.Book, &r.state.Batch, factCancelled)
	if cancelled != nil {
		r.stop(errCancelled)
	}
	return err
}

func (r *run) note(fact string, content any) error {
	return r.config.Book.note(r.ctx, &r.state.Batch, fact, content)
}

// input opens the input file.
func (r *run) input() (io.ReadCloser, error) {
	return r.config.Shelf.Open(r.ctx, r.state.User, r.state.InputFile)
}

// validate checks the input file.
func (r *run) validate() error {
	from, err := r.input()
	if errors.Is(err, artifact.ErrNotFound) {
		return r.fail(Fault{Code: "input_file_not_found", Message: "the input file is not there any more"})
	}
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	total, faults, err := inspect(from, r.state.Endpoint, func(body jsontext.Value) (string, string) {
		return r.config.Door.Check(r.state.Endpoint, body)
	})
	switch {
	case err != nil:
		return err
	case len(faults) > 0:
		return r.fail(faults...)
	}
	found := &validated{At: time.Now().Unix(), Total: total}
	if err := r.note(factValidated, found); err != nil {
		return err
	}
	r.state.validated = found
	return nil
}

// fail ends a batch whose input is not in order.
func (r *run) fail(faults ...Fault) error {
	return r.close(&ended{Status: statusFailed, Faults: faults})
}

func (r *run) close(e *ended) error {
	e.At = time.Now().Unix()
	if err := r.note(factEnded, e); err != nil {
		return err
	}
	r.state.ended = e
	return nil
}

// send makes the lines tasks, a window at a time, and waits until all have ended. A batch that is to end sends no more,
// and cancels what it has sent.
func (r *run) send() error {
	from, err := r.input()
	if errors.Is(err, artifact.ErrNotFound) {
		return nil // what was sent is looked up by its number
	}
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	places := make(chan struct{}, window)
	var sent sync.WaitGroup
	defer sent.Wait()
	return eachLine(from, func(number int, text []byte) error {
		select {
		case places <- struct{}{}:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
		line, fault := parseLine(number, text, r.state.Endpoint)
		if fault != nil || r.submit(line) != nil {
			<-places
			return context.Cause(r.ctx)
		}
		sent.Go(func() {
			defer func() { <-places }()
			r.await(number)
		})
		return nil
	})
}

// submit makes a line a task. An error is that it has become none.
func (r *run) submit(line Line) error {
	for pauses := (pace.Backoff{First: 50 * time.Millisecond, Longest: 5 * time.Second}); r.going.Err() == nil; {
		err := r.config.Door.Submit(r.going, &r.state.Batch, line)
		var refused *RefusedError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refused):
			r.mu.Lock()
			r.refused[line.Number] = refused.Answer
			r.mu.Unlock()
			return err
		}
		pauses.Wait(r.going)
	}
	return nil // an earlier run may have made it one
}

// await returns once a line's task has ended, or there is none and will not be.
func (r *run) await(number int) {
	for pauses := (pace.Backoff{First: 50 * time.Millisecond, Longest: 5 * time.Second}); r.going.Err() == nil; {
		if r.config.Door.Wait(r.going, &r.state.Batch, number) == nil {
			return
		}
		pauses.Wait(r.going)
	}
	ctx, cancel := context.WithTimeout(r.ctx, stopTime)
	defer cancel()
	for pauses := (pace.Backoff{First: 50 * time.Millisecond, Longest: 5 * time.Second}); ctx.Err() == nil; {
		there, err := r.config.Door.Cancel(ctx, &r.state.Batch, number)
		if err == nil && !there || err == nil && r.config.Door.Wait(ctx, &r.state.Batch, number) == nil {
			return
		}
		pauses.Wait(ctx)
	}
}
