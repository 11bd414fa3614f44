package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/rapidtest"
)

// The SDK of Vertex starts a goroutine for ever when its package is loaded.
func TestMain(m *testing.M) {
	rapidtest.Main(m, rapidtest.Checks, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// console is one run of the command line.
type console struct {
	code           int
	stdout, stderr string
}

// run executes a command line in a test. Variables are NAME=value.
func run(t *testing.T, args []string, variables ...string) console {
	t.Helper()
	return runWith(t.Context(), strings.NewReader(""), args, variables...)
}

func runWith(ctx context.Context, stdin *strings.Reader, args []string, variables ...string) console {
	var out, errs safeBuffer
	a := &app{Console: cli.Console{Stdin: stdin, Stdout: &out}, stderr: &errs, environ: variables}
	code := a.run(ctx, args)
	return console{code, out.String(), errs.String()}
}

// safeBuffer can be read while it is written.
type safeBuffer struct {
	mu      sync.Mutex
	content bytes.Buffer
	wrote   chan struct{} // if not nil, told of every write
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	n, _ := b.content.Write(p)
	b.mu.Unlock()
	if b.wrote != nil {
		select {
		case b.wrote <- struct{}{}:
		default:
		}
	}
	return n, nil
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.String()
}

func TestTheFirstSignalDrainsAndTheSecondExits(t *testing.T) {
	exited := make(chan int, 1)
	ctx, stop := untilSignal(t.Context(), func(code int) { exited <- code })
	defer stop()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("context ended with %v", ctx.Err())
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := <-exited; code != exitFailed {
		t.Errorf("second signal exits with %d", code)
	}
}
