package remote

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
	"github.com/aiecs/tasklane/schemas"
)

// service gives its tasks to workers.
type service struct {
	config ServiceConfig
	name   string // mode/name
	log    *slog.Logger
	leases *ledger
	meter  *meter
	ended  chan struct{} // closed when its Background ends

	describing sync.Mutex // one at a time

	mu      sync.Mutex
	at      *processor.Cluster   // nil before its Background
	stopped bool                 // its Background has ended
	known   *message.Description // nil until a worker has said what it has
	said    []byte               // as it was said
	changed time.Time            // when
	polls   []*poll              // workers that wait, in the order in which they came
	out     int                  // attempts that were let in and are not over
	seen    time.Time            // when a worker was last there
	refused int                  // admissions in a row
}

func newService(c ServiceConfig, leases *ledger, log *slog.Logger) *service {
	name := c.Mode + "/" + c.Name
	s := &service{
		config: c, name: name, leases: leases, log: log.With("service", name), ended: make(chan struct{}), seen: time.Now(),
	}
	s.meter = newMeter(s)
	return s
}

// service is the service as processors have it.
func (s *service) service() processor.Service {
	return processor.Service{
		Mode: s.config.Mode, Name: s.config.Name, Description: "its workers ask for its tasks over HTTP",
		Execute: s.execute, Admit: s.admit, Background: s.run, Warnings: s.warnings,
		WriteMetrics: s.meter.set.WritePrometheus,
	}
}

// run lets workers describe the service and be given its tasks until ctx ends.
func (s *service) run(ctx context.Context, at processor.Cluster) error {
	at.SetMaxRunning(s.config.MaxInflight)
	s.mu.Lock()
	s.at = &at
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	close(s.ended)
	return nil
}

// changeEach is how often workers may change what the service has: all processors and the API are told.
const changeEach = time.Second

// describe takes in what a worker says of the service.
func (s *service) describe(m *message.Message, said []byte) error {
	s.describing.Lock()
	defer s.describing.Unlock()
	s.mu.Lock()
	at, stopped, same, since := s.at, s.stopped, bytes.Equal(said, s.said), time.Since(s.changed)
	s.mu.Unlock()
	switch {
	case stopped:
		return errStopping()
	case at == nil:
		return errStarting()
	case same:
		return nil
	}
	d, err := m.Description()
	if err != nil {
		return err //nolint:wrapcheck // it says all
	}
	if since < changeEach {
		return errTooManyChanges()
	}
	if err := at.Describe(d.Description); err != nil {
		return fmt.Errorf("its ready message: %w", err)
	}
	s.mu.Lock()
	s.known, s.said, s.changed = d, said, time.Now()
	s.see()
	s.mu.Unlock()
	s.log.Info("a worker has said what the service has", "tasks", len(d.Schemas), "any_other", d.Generic,
		"version", message.Cut(d.Version, maxName))
	return nil
}

// see notes that a worker is there. Called under the lock.
func (s *service) see() { s.seen = time.Now() }

// Bounds of how long a task waits before it asks again.
const (
	minAsk     = 2 * time.Millisecond
	maxAsk     = 900 * time.Millisecond
	askEach    = 200 * time.Microsecond // of those that wait
	minAwayAsk = 50 * time.Millisecond
	maxAwayAsk = 30 * time.Second
	// between is how long a worker that is there may take between two polls.
	between = 5 * time.Second
)

// admit implements [processor.Admit]: a task is let in when a worker waits for one.
func (s *service) admit(*schemas.Task) (processor.Grant, *processor.Wait) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.known == nil {
		return nil, s.awayWait(now, "no worker has said yet what it has")
	}
	p := s.free()
	switch {
	case s.out >= s.config.MaxInflight:
		return nil, s.busyWait(now, fmt.Sprintf("its workers have %d tasks, as many as they may (max_inflight)", s.out))
	case p == nil && s.away(now) > between:
		return nil, s.awayWait(now, "no worker asks for its tasks")
	case p == nil:
		return nil, s.busyWait(now, "its workers have as many tasks as they have asked for")
	}
	s.refused = 0
	s.out++
	p.taken = true
	return &place{service: s, poll: p}, nil
}

// away is since when no worker was there. Called under the lock.
func (s *service) away(now time.Time) time.Duration {
	if len(s.polls) > 0 || s.out > 0 {
		return 0
	}
	return now.Sub(s.seen)
}

func (s *service) awayWait(now time.Time, why string) *processor.Wait {
	ask := max(min(now.Sub(s.seen), maxAwayAsk), minAwayAsk)
	return &processor.Wait{For: schemas.WaitService, Until: now.Add(ask), Name: "service/" + s.name, Reason: why}
}

func (s *service) busyWait(now time.Time, why string) *processor.Wait {
	s.refused++
	ask := max(min(time.Duration(s.refused)*askEach, maxAsk), minAsk)
	return &processor.Wait{For: schemas.WaitLimit, Until: now.Add(ask), Name: "service/" + s.name, Reason: why}
}

// warnAfter is how long no worker may be there before an operator is told.
const warnAfter = 30 * time.Second

// warnings are what is not as it should be with the service's workers.
func (s *service) warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch away := s.away(time.Now()); {
	case s.known == nil:
		return []string{"service " + s.name + ": no worker has said yet what it has (POST /v1/worker/ready)"}
	case away > warnAfter:
		return []string{fmt.Sprintf("service %s: no worker has asked for a task for %v", s.name, away.Round(time.Second))}
	}
	return nil
}
