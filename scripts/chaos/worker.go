package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/aiecs/tasklane/scripts/chaos/proxy"
	"github.com/aiecs/tasklane/scripts/program"
)

// worker is a place for a processor: a data directory, a proxy to the broker
// and, most of the time, a process.
type worker struct {
	supervised
	config *config
	dir    string
	proxy  *proxy.Proxy
}

// shortWait sends most waits through the waiting log.
const shortWait = 300 * time.Millisecond

func newWorker(ctx context.Context, c *config, name string, brokers []string) (*worker, error) {
	p, err := proxy.New(ctx, brokers)
	if err != nil {
		return nil, err
	}
	w := &worker{config: c, dir: filepath.Join(c.dir, name), proxy: p}
	w.supervised = supervised{name: name, binary: c.binary, log: filepath.Join(c.dir, name+".log"), memory: workerMemory,
		args: w.args()}
	return w, nil
}

func (w *worker) args() []string {
	return []string{
		"processor", "--brokers", strings.Join(w.proxy.Addrs(), ","), "--lanes", "fast,heavy", "--data-dir", w.dir,
		"--metrics-addr", "127.0.0.1:0", "--session-timeout", w.config.session.String(), "--short-wait", shortWait.String(),
		"--debug-services=true",
		"--debug-trace", w.config.trace(), "--slots-fast", "8", "--slots-heavy", "8", "--log-format", "json",
	}
}

// freeze stops the processor; when it returns nil, nothing of it runs any more.
func (w *worker) freeze(ctx context.Context) error {
	process := w.current()
	process.Signal(syscall.SIGSTOP)
	return program.AwaitStopped(ctx, process.PID())
}

func (w *worker) thaw() { w.current().Signal(syscall.SIGCONT) }

// close ends everything that belongs to the worker.
func (w *worker) close() {
	w.supervised.close()
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
