package batches

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/producer/openai/files"
)

// Door makes requests tasks, and answers of what became of them.
type Door interface {
	// Check says what is wrong with a request, and with which of its members; "" for nothing.
	Check(endpoint string, body jsontext.Value) (param, message string)
	// Submit makes a line a task of its batch. The same line again is the same task. A refusal is a [RefusedError],
	// any other error is of now.
	Submit(ctx context.Context, b *Batch, line Line) error
	// Wait returns once the task of a line has ended.
	Wait(ctx context.Context, b *Batch, number int) error
	// Cancel cancels the task of a line unless it has ended; there reports whether there is one.
	Cancel(ctx context.Context, b *Batch, number int) (there bool, _ error)
	// Answer is what became of a line; nil if its task has not ended or there is none.
	Answer(ctx context.Context, b *Batch, number int) (*Answer, error)
}

// Answer is what a request would have been answered with.
type Answer struct {
	Status    int
	RequestID string
	Body      jsontext.Value
	// Cancelled says that the task was cancelled, or expired before it began.
	Cancelled bool
}

// RefusedError is why a line becomes no task.
type RefusedError struct{ Answer Answer }

// Error is the answer.
func (e *RefusedError) Error() string { return "the request was refused: " + string(e.Answer.Body) }

const (
	// maxActive bounds the batches that are driven at once, and maxOfUser those of one user; others wait as validating.
	maxActive = 32
	maxOfUser = 2
	// leaseTime is how long a batch is left to another instance that said that it drives it; it says so again every
	// third of that.
	leaseTime = 15 * time.Second
	// lookEvery is how often the store is asked for batches of other instances that are left.
	lookEvery = 5 * time.Second
)

// Config is what a Runner works with; all of it is required.
type Config struct {
	Book      *Book
	Shelf     *files.Shelf
	Artifacts *artifact.Store
	Door      Door
	Logger    *slog.Logger
}

// Runner drives batches. Make one with NewRunner.
type Runner struct {
	config Config
	name   string // of this instance
	woken  chan struct{}

	mu     sync.Mutex
	active map[string]*run // by id
}

// NewRunner makes a runner. It starts nothing.
func NewRunner(c Config) *Runner {
	return &Runner{config: c, name: uuid.NewString(), woken: make(chan struct{}, 1), active: map[string]*run{}}
}

// Wake makes the runner look for what is new.
func (r *Runner) Wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// Stop ends a batch that was cancelled, if it is driven here; otherwise whoever drives it finds out.
func (r *Runner) Stop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.active[id]; one != nil {
		one.stop(errCancelled)
	}
}

// Run drives batches until ctx ends. What is not done by then is gone on with elsewhere, or later.
func (r *Runner) Run(ctx context.Context) {
	var driven sync.WaitGroup
	defer driven.Wait()
	for ctx.Err() == nil {
		if err := r.look(ctx, &driven); err != nil && ctx.Err() == nil {
			r.config.Logger.Warn("batches cannot be looked for", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-r.woken:
		case <-time.After(lookEvery):
		}
	}
}

// look begins batches that nobody drives.
func (r *Runner) look(ctx context.Context, driven *sync.WaitGroup) error {
	ids, err := r.config.Book.open().Names(ctx)
	if err != nil {
		return err //nolint:wrapcheck // it is logged
	}
	for _, id := range ids {
		if r.isActive(id) {
			continue
		}
		held, err := r.config.Book.claimOf(ctx, id)
		if errors.Is(err, artifact.ErrNotFound) || err == nil && time.Now().UnixMilli() < held.Until && held.By != r.name {
			continue
		}
		if err != nil {
			return err
		}
		state, err := r.config.Book.Get(ctx, held.User, id)
		if errors.Is(err, artifact.ErrNotFound) { // it is just being created, or was not
			continue
		}
		if err != nil {
			return err
		}
		if one := r.begin(ctx, state); one != nil {
			driven.Go(func() { r.drive(one) })
		}
	}
	return nil
}

func (r *Runner) isActive(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active[id] != nil
}

// begin takes a place for a batch, nil if there is none.
func (r *Runner) begin(ctx context.Context, state *State) *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	ofUser := 0
	for _, one := range r.active {
		if one.state.User == state.User {
			ofUser++
		}
	}
	if len(r.active) >= maxActive || ofUser >= maxOfUser {
		return nil
	}
	one := newRun(ctx, r.config, r.name, state)
	r.active[state.ID] = one
	return one
}

// drive takes a batch as far as it goes.
func (r *Runner) drive(one *run) {
	err := one.drive()
	one.end()
	r.mu.Lock()
	delete(r.active, one.state.ID)
	r.mu.Unlock()
	if err != nil && one.ctx.Err() == nil {
		r.config.Logger.Warn("a batch has come to a halt, it is gone on with", "batch", one.state.ID, "error", err)
	}
	if err == nil {
		r.Wake()
	}
}
