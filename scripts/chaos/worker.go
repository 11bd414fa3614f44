package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aiecs/tasklane/scripts/chaos/proxy"
	"github.com/aiecs/tasklane/scripts/program"
)

// worker is a place for a processor: a data directory, a proxy to the broker
// and, most of the time, a process. One that ends unasked is started again, as
// an orchestrator would.
type worker struct {
	name   string
	config *config
	dir    string
	proxy  *proxy.Proxy

	mu      sync.Mutex
	process *program.Process
	wanted  bool
	unasked int // times it ended by itself
	guards  sync.WaitGroup
}

// restartAfter is how long an orchestrator waits.
const restartAfter = 300 * time.Millisecond

// shortWait sends most waits through the waiting log.
const shortWait = 300 * time.Millisecond

func newWorker(ctx context.Context, c *config, name string, brokers []string) (*worker, error) {
	p, err := proxy.New(ctx, brokers)
	if err != nil {
		return nil, err
	}
	return &worker{name: name, config: c, dir: filepath.Join(c.dir, name), proxy: p}, nil
}

func (w *worker) args() []string {
	return []string{
		"processor", "--brokers", strings.Join(w.proxy.Addrs(), ","), "--lanes", "fast,heavy", "--data-dir", w.dir,
		"--metrics-addr", "127.0.0.1:0", "--session-timeout", w.config.session.String(), "--short-wait", shortWait.String(), "--debug-services=true",
		"--debug-trace", w.config.trace(), "--slots-fast", "8", "--slots-heavy", "8", "--log-format", "json",
	}
}

// start runs the processor and keeps it running. It does not wait until it is
// ready: that may take a broker which is down.
func (w *worker) start() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted = true
	return w.launch()
}

func (w *worker) launch() error {
	p, err := program.LaunchWithin(workerMemory, w.config.binary, w.name, filepath.Join(w.config.dir, w.name+".log"), w.args()...)
	if err != nil {
		return err
	}
	w.process = p
	w.guards.Go(func() { w.guard(p) })
	return nil
}

// guard starts another process when this one ends unasked.
func (w *worker) guard(p *program.Process) {
	<-p.Exited()
	<-time.NewTimer(restartAfter).C
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wanted && w.process == p {
		w.unasked++
		_ = w.launch()
	}
}

// take makes the process no longer wanted and returns it.
func (w *worker) take() *program.Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted = false
	return w.process
}

func (w *worker) kill() { w.take().Kill() }

// stop ends the processor in order.
func (w *worker) stop() error { return w.take().Stop() }

func (w *worker) current() *program.Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process
}

func (w *worker) freeze() { w.current().Signal(syscall.SIGSTOP) }
func (w *worker) thaw()   { w.current().Signal(syscall.SIGCONT) }

func (w *worker) ended() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unasked
}

// close ends everything that belongs to the worker.
func (w *worker) close() {
	if p := w.take(); p != nil && p.Running() {
		p.Signal(syscall.SIGCONT)
		p.Kill()
	}
	w.guards.Wait()
	w.proxy.Close()
}

// id is the name of the processor in its events.
func (w *worker) id() string {
	text, err := os.ReadFile(filepath.Join(w.dir, "instance-id"))
	if err != nil {
		return fmt.Sprint("unknown-", w.name)
	}
	return strings.TrimSpace(string(text))
}
