// Command tasklane is Tasklane in one binary: every role, everything in one
// process, and the tools to submit and follow tasks.
//
// It is the only place of the project with flags, environment variables,
// signals and exit codes: 0 fine, 1 the task or request failed, or was interrupted
// before it was known, 2 wrong usage, 3 the server or the broker cannot be reached.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/aiecs/tasklane/internal/cli"
)

func main() {
	keepFilesPrivate()
	ctx, stop := untilSignal(context.Background(), os.Exit)
	code := (&app{
		Console: cli.Console{Stdin: os.Stdin, Stdout: os.Stdout}, stderr: os.Stderr,
		terminal: isTerminal(os.Stdout), colour: isTerminal(os.Stderr), environ: os.Environ(),
	}).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// untilSignal ends its context at the first SIGINT or SIGTERM, to drain. A
// second one calls exit at once, for an operator who will not wait.
func untilSignal(parent context.Context, exit func(int)) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				if ctx.Err() != nil {
					exit(exitFailed)
				}
				cancel()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}
