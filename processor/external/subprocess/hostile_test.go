//go:build unix

package subprocess

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// TestHostileChildren: whatever a child does ends its own task, with a reason that says what to change, or does no
// harm; the next task runs.
func TestHostileChildren(t *testing.T) {
	const kept, lost = "kept", "lost"
	// What a child has written or printed is for the operator, in the log: the task's user, and those whose tasks were
	// beside it, are told nothing of it.
	const printed = "Traceback: out of luck"
	for _, c := range []struct{ kind, want, reason string }{
		{"exit", lost, "exit status 7"},
		{"exit 0", lost, "exit status 0"},
		{"signal", lost, "the child ended: "},
		{"killed", lost, "signal: killed"},
		{"no json", lost, `no message; messages are JSON objects`},
		{"binary", lost, "no message"},
		{"array", lost, "no message"},
		{"half", lost, "no message"},
		{"result and exit", kept, ""},
		{"no newline at end", kept, ""},
		{"wrong id", lost, "answer with the id of the task message"},
		{"id of another type", lost, "no message"},
		{"two results", "first", ""},
		{"ready again", lost, "send it once"},
		{"wrong type", "failed", "message error cannot be read"},
		{"wrong progress", kept, ""},
		{"unknown type", kept, ""},
		{"unknown member", kept, ""},
		{"late report", kept, ""},
		{"long result", "failed", "a line of more than 1 MiB; return less"},
		{"long without id", lost, "a line of more than 1 MiB"},
		{"endless line", "failed", "a line of more than 1 MiB"},
		{"flood of output", kept, ""},
		{"flood of print", kept, ""},
		{"closes 4", lost, "closed descriptor 4"},
		{"closes 3", kept, ""},
		{"fork that stays", lost, "exit status 9"},
		{"fork with 4", lost, "exit status 9"},
		{"submits nonsense", kept, ""},
		{"own last word", "failed", "nobody has asked for"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			log := new(safeLog)
			w := runPool(t, "1", func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
			result, err := w.do(context.Background(), asked{name: "hostile", id: "h", input: `{"kind":"` + c.kind + `"}`})
			switch {
			case c.want == lost && !isLost(err), c.want == "failed" && (err == nil || isLost(err)):
				t.Errorf("it ends with %v", err)
			case c.want != lost && c.want != "failed" && (err != nil || result != `"`+c.want+`"`):
				t.Errorf("it ends with %s, %v", result, err)
			case err != nil && !strings.Contains(err.Error(), c.reason):
				t.Errorf("the reason is %q, want %q", err, c.reason)
			}
			if err != nil && (strings.Contains(err.Error(), printed) || strings.Contains(err.Error(), "hello")) {
				t.Errorf("the user is told %q", err)
			}
			if _, left, ok := strings.Cut(log.text(), "left behind "); ok {
				endLeftBehind(t, left)
			}
			if got := w.must(asked{name: "echo", id: "next", input: `{"n":1}`}); got != `{"n":1}` {
				t.Errorf("the next task ends with %s", got)
			}
			for kind, want := range map[string]string{"exit": printed, "no json": `hello`} {
				if kind == c.kind && !strings.Contains(log.text(), want) {
					t.Errorf("the operator is told %s", log.text())
				}
			}
		})
	}
}

// safeLog is a log that children are written to by many.
type safeLog struct {
	mu  sync.Mutex
	all []byte
}

func (l *safeLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, b...)
	return len(b), nil
}

func (l *safeLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.all)
}

// TestChildrenThatSayNothing: one that is silent, or stopped, is ended at the task's time limit.
func TestChildrenThatSayNothing(t *testing.T) {
	for _, kind := range []string{"silent", "stopped"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := runPool(t, "1", nil)
			pid := pidOf(t, w.must(asked{name: "who"}))
			ctx, cancel := context.WithCancelCause(context.Background())
			begun := func(context.Context, *schemas.Event) error { cancel(processor.ErrTimeLimit); return nil }
			_, err := w.do(ctx, asked{name: "hostile", id: "h", input: `{"kind":"` + kind + `"}`, hard: time.Millisecond,
				report: begun})
			if !errors.Is(err, processor.ErrTimeLimit) {
				t.Errorf("it ends with %v", err)
			}
			if next := pidOf(t, w.must(asked{name: "who", id: "next"})); next == pid {
				t.Error("the next task is in the same child")
			}
		})
	}
}

// endLeftBehind ends a process that has left its group, as nothing here does.
func endLeftBehind(t *testing.T, text string) {
	t.Helper()
	pid := 0
	for _, digit := range text {
		if digit < '0' || digit > '9' {
			break
		}
		pid = pid*10 + int(digit-'0')
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
}

// TestDeafChild: a task that does not heed its cancel is ended with its child if it is alone there, and else left until
// its time limit.
func TestDeafChild(t *testing.T) {
	w := runPool(t, "2 deaf", nil)
	pid := pidOf(t, w.must(asked{name: "who"}))
	w.await(func(c *child) bool { return c.taken == 0 })
	ctx, cancel := context.WithCancelCause(context.Background())
	begun := func(context.Context, *schemas.Event) error { cancel(processor.ErrHandedOver); return nil }
	_, err := w.do(ctx, asked{name: "hostile", input: `{"kind":"stopped"}`, report: begun})
	if !errors.Is(err, processor.ErrHandedOver) {
		t.Errorf("it ends with %v", err)
	}
	for end := time.Now().Add(patience); syscall.Kill(-pid, 0) == nil; pace.Sleep(t.Context(), time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the child was not ended")
		}
	}
}
