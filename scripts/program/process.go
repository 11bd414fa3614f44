package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// startTime and stopTime are how long a process may take to serve and to end in
// order.
const (
	startTime = time.Minute
	stopTime  = 40 * time.Second
)

// Process is a running tasklane.
type Process struct {
	name    string
	command *exec.Cmd
	exited  chan struct{} // closed when it has ended
	ready   chan struct{} // closed when it has printed its first line
	// log is what it writes to, quiet how much stood there before it.
	log   string
	quiet int64
}

// Launch starts the binary. What it prints goes to the log file.
func Launch(binary, name, logFile string, args ...string) (*Process, error) {
	return LaunchWithin(0, binary, name, logFile, args...)
}

// LaunchWithin starts it with the collector's settings that it would choose in a
// container of so many bytes, by its package memory. 0 leaves them to it.
func LaunchWithin(bytes int64, binary, name, logFile string, args ...string) (*Process, error) {
	log, err := os.OpenFile(logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	p := &Process{name: name, exited: make(chan struct{}), ready: make(chan struct{}), log: logFile}
	if p.quiet, err = log.Seek(0, io.SeekEnd); err != nil {
		return nil, fmt.Errorf("open log: %w", errors.Join(err, log.Close()))
	}
	// It must outlive the context of whatever starts it.
	p.command = exec.CommandContext(context.Background(), binary, args...)
	p.command.Stderr = log
	if bytes > 0 {
		p.command.Env = append(os.Environ(), "GOGC=400", fmt.Sprint("GOMEMLIMIT=", bytes/4*3))
	}
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

func (p *Process) follow(out io.Reader, log *os.File) {
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

// WaitReady waits for the line by which a role says that it serves.
func (p *Process) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	select {
	case <-p.ready:
		return nil
	case <-p.exited:
		return fmt.Errorf("start %s: it ended before it was ready, see %s", p.name, p.log)
	case <-ctx.Done():
		return fmt.Errorf("start %s: %w", p.name, ctx.Err())
	}
}

// Signal sends a signal; one that has ended is no matter.
func (p *Process) Signal(s syscall.Signal) { _ = p.command.Process.Signal(s) }

// Exited is closed when it has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// PID is its number.
func (p *Process) PID() int { return p.command.Process.Pid }

// Running reports whether it has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Kill ends it as a power cut would; one that has ended is no matter.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.exited
}

var errNotStopped = errors.New("it did not stop in time and was killed")

// Stop asks it to end and wants that to go well.
func (p *Process) Stop() error {
	begun := p.hasLogged()
	p.Signal(syscall.SIGCONT)
	p.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("stop %s: %w", p.name, errNotStopped)
	}
	status, _ := p.command.ProcessState.Sys().(syscall.WaitStatus)
	if !begun && status.Signaled() && status.Signal() == syscall.SIGTERM {
		return nil // it had not come to where it asks for signals: there was nothing to drain
	}
	if status.ExitStatus() != 0 {
		return fmt.Errorf("stop %s: it ended with %v", p.name, p.command.ProcessState)
	}
	return nil
}

// hasLogged reports whether it has written to its log: it asks for signals before.
func (p *Process) hasLogged() bool {
	info, err := os.Stat(p.log)
	return err == nil && info.Size() > p.quiet
}
