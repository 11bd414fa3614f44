package main

import (
	"context"
	"sync"
	"syscall"
	"time"

	"github.com/aiecs/tasklane/scripts/program"
)

// supervised is a process that is started again when it ends unasked, as an
// orchestrator would.
type supervised struct {
	name, binary, log string
	memory            int64 // bytes of the container it is started as in, 0 for none
	args              []string

	mu      sync.Mutex
	process *program.Process
	wanted  bool
	unasked int // times it ended by itself
	guards  sync.WaitGroup
}

// restartAfter is how long an orchestrator waits.
const restartAfter = 300 * time.Millisecond

// start runs the process and keeps it running. It does not wait until it is
// ready: that may take a broker which is down.
func (s *supervised) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = true
	return s.launch()
}

// startReady runs it and waits until it serves.
func (s *supervised) startReady(ctx context.Context) error {
	if err := s.start(); err != nil {
		return err
	}
	return s.current().WaitReady(ctx)
}

func (s *supervised) launch() error {
	p, err := program.LaunchWithin(s.memory, s.binary, s.name, s.log, s.args...)
	if err != nil {
		return err
	}
	s.process = p
	s.guards.Go(func() { s.guard(p) })
	return nil
}

// guard starts another process when this one ends unasked.
func (s *supervised) guard(p *program.Process) {
	<-p.Exited()
	<-time.NewTimer(restartAfter).C
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted && s.process == p {
		s.unasked++
		_ = s.launch()
	}
}

// take makes the process no longer wanted and returns it.
func (s *supervised) take() *program.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = false
	return s.process
}

func (s *supervised) kill() { s.take().Kill() }

// stop ends the process in order.
func (s *supervised) stop() error { return s.take().Stop() }

func (s *supervised) current() *program.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

func (s *supervised) ended() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unasked
}

// close ends what still runs.
func (s *supervised) close() {
	if p := s.take(); p != nil && p.Running() {
		p.Signal(syscall.SIGCONT)
		p.Kill()
	}
	s.guards.Wait()
}
