package remote

import (
	"errors"
	"slices"

	"github.com/aiecs/tasklane/processor"
)

// maxPolls is how many workers of a service wait for a task at once.
const maxPolls = 1_000

// poll is a worker that waits for a task.
type poll struct {
	worker string // what it calls itself
	// given is sent exactly one handover once the poll is used.
	given chan *handover
	taken bool // an attempt was let in for it; under the service's lock
}

// handover is a task on its way to a worker.
type handover struct {
	lease *lease
	line  []byte
	done  chan error // of one: whether it could be written
}

// errGone says that a worker did not wait for its task.
var errGone = errors.New("the worker is gone")

// place is a worker's poll that an attempt was let in for.
type place struct {
	service *service
	// Under the service's lock:
	poll     *poll // nil once it was used
	released bool
}

// Release implements [processor.Grant].
func (g *place) Release() {
	s := g.service
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.released {
		return
	}
	g.released = true
	s.out--
	s.see()
	if g.poll != nil {
		g.poll.taken = false
	}
}

// wait adds a poll, or says why there may be none.
func (s *service) wait(worker string) (*poll, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return nil, errStopping()
	case s.known == nil:
		return nil, errUndescribed()
	case len(s.polls) >= maxPolls:
		return nil, errTooManyPolls()
	}
	p := &poll{worker: worker, given: make(chan *handover, 1)}
	s.polls = append(s.polls, p)
	s.see()
	return p, nil
}

// State of a poll that is to end.
type pollState int

const (
	withdrawn pollState = iota // it waits no more
	reserved                   // a task is about to come
	used                       // a task is coming: it has to be taken from given
)

// withdraw ends a poll that has been given nothing. One for which an attempt was let in goes on, unless it must end.
func (s *service) withdraw(p *poll, must bool) pollState {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.polls, p)
	switch {
	case at < 0:
		return used
	case p.taken && !must:
		return reserved
	}
	s.polls = slices.Delete(s.polls, at, at+1)
	s.see()
	return withdrawn
}

// use is a poll for an attempt: the one that it was let in for, or another if that is gone; nil if there is none.
func (s *service) use(granted processor.Grant) *poll {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p *poll
	if g, ok := granted.(*place); ok && g.poll != nil {
		if slices.Contains(s.polls, g.poll) {
			p = g.poll
		}
		g.poll = nil
	}
	if p == nil {
		p = s.free()
	}
	if p == nil {
		return nil
	}
	at := slices.Index(s.polls, p)
	s.polls = slices.Delete(s.polls, at, at+1)
	return p
}

// free is the poll that waits for the longest without a task, nil if there is none. Called under the lock.
func (s *service) free() *poll {
	for _, p := range s.polls {
		if !p.taken {
			return p
		}
	}
	return nil
}
