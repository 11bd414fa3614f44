package subprocess

import (
	"context"
	"fmt"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
)

// Back-off between children that end before they have done anything.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = time.Minute
)

// seat has one child at a time, and for a while the one before it, which finishes what it has.
type seat struct {
	pool   *Pool
	number int
	at     processor.Cluster
	pause  time.Duration
}

// run has children until ctx ends.
func (s *seat) run(ctx context.Context) {
	retired := make(chan struct{}) // is closed when the child before has ended
	close(retired)
	for ctx.Err() == nil {
		if len(s.pool.config.GPUs) > 0 {
			<-retired // one process on a GPU
		}
		c, why := s.start(ctx)
		if c == nil {
			if ctx.Err() == nil {
				s.failed(ctx, why)
			}
			continue
		}
		<-retired
		retired = s.keep(ctx, c)
	}
	<-retired
}

// failed waits before the next try.
func (s *seat) failed(ctx context.Context, why ending) {
	s.pause = min(max(2*s.pause, firstPause), longestPause)
	s.pool.fail(s.number, why)
	s.pool.config.Logger.Error("a child cannot be started; it is tried again",
		"child", s.number, "in", s.pause, "error", why)
	pace.Sleep(ctx, s.pause)
}

// start starts a child and waits until it is ready; nil if it does not come to that.
func (s *seat) start(ctx context.Context) (*child, ending) {
	p := s.pool
	c, err := p.start(s.number)
	if err != nil {
		return nil, ending{"its program cannot be started", ": " + err.Error()}
	}
	timer := time.NewTimer(p.config.InitTimeout)
	defer timer.Stop()
	select {
	case m := <-c.ready:
		places, err := s.welcome(m)
		if err != nil {
			c.kill(ending{"its ready message is not taken", ": " + err.Error()})
			<-c.done
			return nil, c.end()
		}
		p.config.Logger.Info("a child is ready", "child", s.number, "pid", c.pid, "max_inflight", places)
		p.add(c, places)
		return c, ending{}
	case <-timer.C:
		c.kill(ending{reason: fmt.Sprintf("it was not ready after %v (init_timeout); give it longer, or look at what it "+
			"waits for", p.config.InitTimeout)})
	case <-ctx.Done():
		c.kill(ending{reason: "the processor stops"})
	case <-c.done:
	}
	<-c.done
	return nil, c.end()
}

// welcome takes in what a child says of itself: how many tasks it takes at once.
func (s *seat) welcome(m *message.Message) (places int, err error) {
	d, err := m.Description()
	if err != nil {
		return 0, err //nolint:wrapcheck // it says all
	}
	if err := s.at.Describe(d.Description); err != nil {
		return 0, fmt.Errorf("its ready message: %w", err)
	}
	places = max(d.MaxInflight, 1)
	s.at.SetMaxRunning(places * s.pool.config.Children)
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.pool.known = d
	return places, nil
}

// keep has a child until it ends or is worn. The channel that it returns is closed when it has ended.
func (s *seat) keep(ctx context.Context, c *child) (ended chan struct{}) {
	p := s.pool
	ended = make(chan struct{})
	for {
		select {
		case <-c.done:
			close(ended)
			s.lost(ctx, c)
			return ended
		case <-ctx.Done():
			p.remove(c, ending{})
			c.stop(p.config.StopTimeout)
			close(ended)
			return ended
		case <-c.wornOrEmpty:
			p.mu.Lock()
			worn := c.worn
			p.mu.Unlock()
			if worn {
				p.remove(c, ending{})
				go func() { defer close(ended); s.retire(ctx, c) }()
				return ended
			}
		}
	}
}

// lost is the end of a child that nobody has asked for.
func (s *seat) lost(ctx context.Context, c *child) {
	p := s.pool
	p.remove(c, c.end())
	p.config.Logger.Warn("a child has ended", "child", s.number, "pid", c.pid, "reason", c.end())
	p.mu.Lock()
	served := c.served
	p.mu.Unlock()
	if served > 0 {
		s.pause = 0
		return
	}
	s.failed(ctx, c.end())
}

// retire ends a child that is worn when it has finished what it has.
func (s *seat) retire(ctx context.Context, c *child) {
	for {
		s.pool.mu.Lock()
		left := c.taken
		s.pool.mu.Unlock()
		if left == 0 {
			break
		}
		select {
		case <-c.wornOrEmpty:
		case <-c.done:
			s.pool.remove(c, ending{})
			return
		case <-ctx.Done():
			c.stop(s.pool.config.StopTimeout)
			return
		}
	}
	c.stop(s.pool.config.StopTimeout)
	s.pool.config.Logger.Info("a worn child has ended", "child", s.number, "pid", c.pid, "tasks", c.served)
}
