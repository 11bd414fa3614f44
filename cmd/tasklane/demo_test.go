package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/cli"
)

func TestWithGroupStopsThePartsAfterTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		a := &app{Console: cli.Console{Log: slog.New(slog.DiscardHandler)}}
		errWork := errors.New("a task failed")
		err := a.withGroup(t.Context(), []part{(&fakeRole{name: "a"}).part(j)}, func(context.Context) error {
			j.note("work")
			return errWork
		})
		if !errors.Is(err, errWork) {
			t.Errorf("error %v", err)
		}
		j.want(t, "a is built", "a runs", "a is ready", "work", "a has ended")
	})
}

func TestWithGroupEndsTheWorkWhenAPartFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		a := &app{Console: cli.Console{Log: slog.New(slog.DiscardHandler)}}
		failing := &fakeRole{name: "a", lives: time.Second, err: errors.New("disk full")}
		err := a.withGroup(t.Context(), []part{failing.part(j)}, func(ctx context.Context) error {
			<-ctx.Done()
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("error %v", err)
		}
	})
}

func TestWithGroupThatNeverGetsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{Console: cli.Console{Log: slog.New(slog.DiscardHandler)}}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errDemoDeadline)
		defer cancel()
		slow := &fakeRole{name: "a", readyAfter: time.Hour}
		err := a.withGroup(ctx, []part{slow.part(new(record))}, func(context.Context) error { return nil })
		if !errors.Is(err, errDemoDeadline) {
			t.Errorf("error %v", err)
		}
	})
}
