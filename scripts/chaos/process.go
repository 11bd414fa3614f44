package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a running tasklane.
type process struct {
	name    string
	command *exec.Cmd
	exited  chan struct{} // closed when it has ended
	ready   chan struct{} // closed when it has printed its first line
}

// launch starts the binary. What it prints goes to the log file.
func launch(binary, name, logFile string, args ...string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	p := &process{name: name, exited: make(chan struct{}), ready: make(chan struct{})}
	// It must outlive the context of the fault that starts it.
	p.command = exec.CommandContext(context.Background(), binary, args...)
	p.command.Stderr = log
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us alone
	out, err := p.command.StdoutPipe()
	if err == nil {
		err = p.command.Start()
	}
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.follow(out, log)
	return p, nil
}

func (p *process) follow(out io.Reader, log *os.File) {
	defer log.Close()
	defer close(p.exited)
	once := sync.OnceFunc(func() { close(p.ready) })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(log, lines.Text())
		once()
	}
	_ = p.command.Wait()
	fmt.Fprintf(log, "--- %s ended: %v\n", time.Now().UTC().Format(time.RFC3339Nano), p.command.ProcessState)
}

// waitReady waits for the line by which a role says that it serves.
func (p *process) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case <-p.ready:
		return nil
	case <-p.exited:
		return fmt.Errorf("start %s: it ended before it was ready", p.name)
	case <-ctx.Done():
		return fmt.Errorf("start %s: %w", p.name, ctx.Err())
	}
}

func (p *process) signal(s syscall.Signal) { _ = p.command.Process.Signal(s) }

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill ends it as a power cut would.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// stopTime is how long a process may take to stop in order.
const stopTime = 40 * time.Second

var errNotStopped = errors.New("it did not stop in time and was killed")

// stop asks it to end and wants that to go well.
func (p *process) stop() error {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		p.kill()
		return fmt.Errorf("stop %s: %w", p.name, errNotStopped)
	}
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("stop %s: it ended with %v", p.name, p.command.ProcessState)
	}
	return nil
}

// resident is a process's resident memory in bytes; 0 if it is gone.
func resident(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}
