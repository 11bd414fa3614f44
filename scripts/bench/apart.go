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
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// apart is a processor in a process of its own: this program again, with
// --serve. So its memory and CPU time are its own, and those who send and read
// take nothing from it but their share of the machine.
type apart struct {
	command *exec.Cmd
	input   io.Closer
}

// startApart starts a processor of the scene's topics.
func (s *scene) startApart(ctx context.Context, slots int) (*apart, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	command := exec.CommandContext(ctx, self, "--brokers", strings.Join(s.options.brokers, ","),
		"--slots", strconv.Itoa(slots), "--serve", s.config.Topics.Prefix)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start processor: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start processor: %w", err)
	}
	return &apart{command: command, input: input}, nil
}

// used is what a process has used.
type used struct {
	peakBytes int64 // resident
	cpu       time.Duration
}

// stop ends the processor and says what it has used.
func (a *apart) stop() (u used, err error) {
	u.peakBytes = peakBytes(a.command.Process.Pid)
	err = errors.Join(a.input.Close(), a.command.Wait())
	if state := a.command.ProcessState; state != nil {
		u.cpu = state.UserTime() + state.SystemTime()
	}
	return u, err
}

// serve is the other side: a processor, until standard input ends.
func (o options) serve(ctx context.Context, prefix string) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	config := fast(o.slots)
	config.Topics = schemas.Topics{Prefix: prefix}
	stop, err := o.process(ctx, config, fail)
	if err != nil {
		return err
	}
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// peakBytes is the most memory a process has had so far, as the system sees it; 0
// where it does not say.
func peakBytes(pid int) int64 {
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "VmHWM:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
