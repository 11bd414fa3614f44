package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/pace"
)

// Writer is a client that writes to topics, and another one when they are others:
// a client never writes to a topic that was made anew, and its idempotence means
// nothing to a broker that came back empty. It is safe for concurrent use.
type Writer struct {
	config Config
	topics []string
	opts   []kgo.Opt
	now    atomic.Pointer[kgo.Client]
	health Health
	anew   chan struct{} // has a value when the topics are others than those before
}

// NewWriter makes a writer that connects when it is first used. Close it.
func NewWriter(c Config, topics []string, opts ...kgo.Opt) (*Writer, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Writer{config: c, topics: topics, opts: append(ProducerOpts(), opts...), anew: make(chan struct{}, 1)}
	client, err := NewClient(c, w.opts...)
	if err != nil {
		return nil, err
	}
	w.now.Store(client)
	return w, nil
}

// Client is the one to write with now. What it has not written when it is replaced fails with kgo.ErrClientClosed.
func (w *Writer) Client() *kgo.Client { return w.now.Load() }

// Produce writes a record as the client does, which never blocks while fewer are on their way than it buffers.
func (w *Writer) Produce(ctx context.Context, r *kgo.Record, done func(*kgo.Record, error)) {
	w.health.Sent()
	w.Client().TryProduce(ctx, r, func(r *kgo.Record, err error) {
		w.health.Settled(err)
		done(r, err)
	})
}

// Healthy is nil while the topics are there and take records.
func (w *Writer) Healthy() error { return w.health.Err() }

// Anew has a value once the topics are others: what was written before is not in them.
func (w *Writer) Anew() <-chan struct{} { return w.anew }

// Run looks after the topics until ctx ends.
func (w *Writer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		watch := &Watch{Client: w.Client(), Topics: w.topics, Grows: true, Health: &w.health}
		err := watch.Await(ctx, func(reason error) {
			w.config.Logger.Warn("records cannot be written yet", "topics", w.topics, "reason", reason)
		})
		if err == nil {
			err = watch.Run(ctx)
		}
		var changed *ChangedError
		if !errors.As(err, &changed) {
			return
		}
		w.config.Logger.Warn("records are written to other topics from now on", "topics", w.topics, "reason", err)
		if err := w.replace(); err != nil {
			w.config.Logger.Error("the writer's client cannot be replaced", "error", err)
			pace.Sleep(ctx, LookInterval)
		}
	}
}

func (w *Writer) replace() error {
	client, err := NewClient(w.config, w.opts...)
	if err != nil {
		return fmt.Errorf("begin to write anew: %w", err)
	}
	w.now.Swap(client).Close()
	select {
	case w.anew <- struct{}{}:
	default:
	}
	return nil
}

// Close ends the writer, after Run. What was not acknowledged is given up.
func (w *Writer) Close() { w.Client().Close() }
