package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/cli"
)

// role is what every part that runs has in common.
type role interface {
	// Run blocks until its context ends, cleans up and returns nil.
	Run(ctx context.Context) error
	// Ready is closed when the part does its work.
	Ready() <-chan struct{}
}

// part is one member of a group.
type part struct {
	name string
	// build makes the part when all before it are ready, so that it can use
	// their addresses. A nil role was a step that is over when build returns.
	build func(ctx context.Context) (role, error)
	// stopWithin is how long the part may take to stop, 10 s if 0.
	stopWithin time.Duration
}

// ahead makes two of a part: a step that builds it, and the part that then runs, later.
// What is wrong with its settings is said before Kafka is waited for. What comes
// between must not be needed to build it.
func ahead(p part) (step, rest part) {
	var made role
	step = part{name: p.name, build: func(ctx context.Context) (role, error) {
		var err error
		made, err = p.build(ctx)
		return nil, err
	}}
	rest = part{name: p.name, stopWithin: p.stopWithin, build: func(context.Context) (role, error) { return made, nil }}
	return step, rest
}

// around puts the steps that build some parts before another, and the parts behind it.
func around(middle part, parts ...part) []part {
	var before, behind []part
	for _, p := range parts {
		step, rest := ahead(p)
		before, behind = append(before, step), append(behind, rest)
	}
	return slices.Concat(before, []part{middle}, behind)
}

const defaultStopWithin = 10 * time.Second

// cutOffTime is what a part may take to end what its own deadline has cut off.
// The deadlines of parts have to lie within those of the group.
const cutOffTime = 10 * time.Second

// errStopped is the cause of a part's context when its group stops.
var errStopped = errors.New("stopped")

// group starts parts in order, each when the one before it is ready, and stops
// them in reverse, each when the one after it has stopped.
type group struct {
	parts []part
	log   *slog.Logger
	// ready is called once all parts are.
	ready func() error
}

// member is a part that runs.
type member struct {
	part
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when Run has returned
	err    error         // written before ended is closed
}

// Run runs the parts until ctx ends, which is fine, or one of them fails or
// ends by itself, which is an error and stops the others. It returns when all
// have stopped or their deadlines have passed.
func (g *group) Run(ctx context.Context) error {
	// Parts outlive ctx: each is stopped in its turn.
	base := context.WithoutCancel(ctx)
	failed := make(chan *member, len(g.parts))
	var running []*member
	var err error
	for _, p := range g.parts {
		var m *member
		m, err = g.start(ctx, base, p, failed)
		if m != nil {
			running = append(running, m)
		}
		if err != nil || ctx.Err() != nil {
			break
		}
	}
	if err == nil && ctx.Err() == nil && g.ready != nil {
		err = g.ready()
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case m := <-failed:
			err = m.failure()
		}
	}
	if err == nil {
		g.log.Info("stopping")
	}
	return errors.Join(err, g.stop(running))
}

// start builds and runs one part and waits until it is ready. The member is
// not nil if something has to be stopped.
func (g *group) start(ctx, base context.Context, p part, failed chan *member) (*member, error) {
	r, err := p.build(ctx)
	var usage cli.UsageError
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil, nil // told to stop while it started
	case errors.As(err, &usage):
		return nil, err // it is about a flag, not about the part that came to look at it
	case err != nil:
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	if r == nil {
		return nil, nil
	}
	partCtx, cancel := context.WithCancelCause(base)
	m := &member{part: p, cancel: cancel, ended: make(chan struct{})}
	go func() {
		m.err = r.Run(partCtx)
		close(m.ended)
		failed <- m // has room for every part
	}()
	select {
	case <-r.Ready():
		g.log.Debug("part is ready", "part", p.name)
		return m, nil
	case first := <-failed:
		return m, first.failure()
	case <-ctx.Done():
		return m, nil
	}
}

// failure is why a member ended although nobody had stopped it.
func (m *member) failure() error {
	if m.err == nil {
		return fmt.Errorf("run %s: it ended by itself", m.name)
	}
	return fmt.Errorf("run %s: %w", m.name, m.err)
}

// stop stops the members in reverse. One that misses its deadline is left
// behind and reported: the process is about to end.
func (g *group) stop(running []*member) error {
	var problems []error
	for i := len(running) - 1; i >= 0; i-- {
		m := running[i]
		select {
		case <-m.ended:
			m.cancel(errStopped)
			continue // its error was the reason to stop, or comes too late to matter
		default:
		}
		m.cancel(errStopped)
		if err := m.await(); err != nil {
			problems = append(problems, err)
		}
		g.log.Debug("part has stopped", "part", m.name)
	}
	return errors.Join(problems...)
}

func (m *member) await() error {
	within := m.stopWithin
	if within == 0 {
		within = defaultStopWithin
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-m.ended:
	case <-timer.C:
		return fmt.Errorf("stop %s: still running after %v", m.name, within)
	}
	if m.err != nil && !errors.Is(m.err, context.Canceled) {
		return fmt.Errorf("stop %s: %w", m.name, m.err)
	}
	return nil
}
