package main

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/aiecs/tasklane/scripts/program"
)

// process is a role of tasklane that can be killed and started again with the
// same arguments, on the same address.
type process struct {
	name, binary, logFile string
	args                  []string

	mu  sync.Mutex
	now *program.Process // nil before the first start
}

func (c *config) process(name string, args ...string) *process {
	return &process{name: name, binary: c.binary, args: append(args, "--log-format", "json"),
		logFile: filepath.Join(c.dir, name+".log")}
}

// start runs the process and waits for the line by which it says that it
// serves.
func (p *process) start(ctx context.Context) error {
	now, err := program.Launch(p.binary, p.name, p.logFile, p.args...)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.now = now
	p.mu.Unlock()
	return now.WaitReady(ctx)
}

func (p *process) current() *program.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// kill ends it as a power cut would; one that has ended is no matter.
func (p *process) kill() {
	if now := p.current(); now != nil {
		now.Kill()
	}
}

// stop asks it to end and wants that to go well.
func (p *process) stop() error { return p.current().Stop() }

// resident is the process's resident memory in bytes, 0 if it is gone.
func (p *process) resident() int64 {
	if now := p.current(); now != nil {
		return program.Resident(now.PID())
	}
	return 0
}
