package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/demo"
	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

const (
	demoDeadline = 2 * time.Minute
	demoSession  = 10 * time.Second
	demoDrain    = 5 * time.Second
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Runs customer reviews through every part, and ends",
		Long: `Starts everything on free ports with a temporary directory, finds out the language
(lane fast) and the sentiment (lane heavy) of a file of customer reviews, follows
the tasks over the WebSocket and prints what came out. Ends with 1 if a task
failed or an event is missing.`,
		Example:     "  tasklane demo",
		Args:        cli.NoArguments,
		Annotations: map[string]string{annotationRole: "demo"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), demoDeadline, errDemoDeadline)
			defer cancel()
			return a.demo(ctx)
		},
	}
}

var errDemoDeadline = fmt.Errorf("the demo did not end within %v", demoDeadline)

// demo starts everything in a directory that is removed afterwards.
func (a *app) demo(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "tasklane-demo-")
	if err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w := &wiring{settings: demoSettings(dir), config: new(config.Settings), log: a.Log}
	return a.withGroup(ctx, w.everything(), func(ctx context.Context) error {
		c, err := client.New(client.Config{Server: "http://" + w.api, Notifier: "ws://" + w.notifier, Logger: a.Log})
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		defer c.Close()
		return demo.Run(ctx, c, a.Stdout, a.terminal)
	})
}

func demoSettings(dir string) *settings {
	const free = "127.0.0.1:0"
	return &settings{
		dataDir: dir, lanes: []string{schemas.LaneFast, schemas.LaneHeavy},
		apiAddr: free, notifierAddr: free, brokerAddr: free,
		ringBytes: notifier.DefaultRingBytes, ringAge: notifier.DefaultRingAge,
		slotsFast: processor.DefaultSlots, slotsHeavy: processor.DefaultSlots,
		sessionTimeout: demoSession, drainTimeout: demoDrain,
	}
}

// withGroup runs do while the parts run, and stops them after it.
func (a *app) withGroup(ctx context.Context, parts []part, do func(context.Context) error) error {
	groupCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ready := make(chan struct{})
	ended := make(chan error, 1)
	g := group{parts: parts, log: a.Log, ready: func() error { close(ready); return nil }}
	go func() { ended <- g.Run(groupCtx) }()
	select {
	case <-ready:
	case err := <-ended:
		return errors.Join(err, context.Cause(ctx))
	}
	// A part that fails ends the work too.
	workCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- do(workCtx) }()
	select {
	case err := <-done:
		stop(nil)
		return errors.Join(err, <-ended)
	case err := <-ended:
		cancel(err)
		return errors.Join(err, <-done)
	}
}
