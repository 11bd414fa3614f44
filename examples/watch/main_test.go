package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/schemas"
)

// printer ends the watch once it has printed the end of a number of tasks.
type printer struct {
	strings.Builder
	ends int
	stop context.CancelFunc
}

func (p *printer) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "Completed") {
		if p.ends--; p.ends == 0 {
			p.stop()
		}
	}
	return p.Builder.Write(line)
}

// TestRunGoesOnWhereItWas runs the program twice with a task before each.
func TestRunGoesOnWhereItWas(t *testing.T) {
	server := clienttest.New(t)
	server.Handle("count", func(_ context.Context, task *clienttest.Task) (any, error) {
		task.Progress(schemas.Progress{Percent: 50})
		task.Output("one\n")
		return 1, nil
	})
	config, c := server.Config(), server.Client()
	file := filepath.Join(t.TempDir(), "cursor")
	submit := func(id string) {
		handle, err := c.Submit(t.Context(), schemas.LaneFast,
			schemas.Task{TaskID: id, UserID: "alice", TaskName: "count", Mode: "m", Service: "s"})
		if err == nil {
			_, err = handle.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"first", "second"} {
		submit(id)
		ctx, cancel := context.WithCancel(t.Context())
		out := &printer{ends: 1, stop: cancel}
		if err := run(ctx, config, "alice", file, out); !errors.Is(err, context.Canceled) {
			t.Fatalf("ended with %v", err)
		}
		want := strings.ReplaceAll(`ID state running "Executing task: count"
ID progress running 50%
ID output running "one\n"
ID state completed "Completed task: count"
`, "ID", id)
		if out.String() != want {
			t.Errorf("printed\n%swant\n%s", out.String(), want)
		}
	}
}
