package echo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestTraceTellsEveryStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "starts")
	exits := 0
	b := newBench(Options{TraceFile: file, Exit: func(int) { exits++ }})
	var want []start
	for attempt, name := range []string{"echo", "fail", "exit", "no such task"} {
		b.attempt = attempt + 1
		_, _ = b.run(t.Context(), name, `{}`)
		want = append(want, start{PID: os.Getpid(), UserID: "u", TaskID: "t", Lane: "fast", Attempt: attempt + 1})
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []start
	for line := range strings.Lines(string(content)) {
		var s start
		if err := json.Unmarshal([]byte(line), &s); err != nil || s.AtMS == 0 {
			t.Fatalf("line %q: %v", line, err)
		}
		s.AtMS = 0
		got = append(got, s)
	}
	if len(got) != len(want) || exits != 1 {
		t.Fatalf("%d lines, %d exits", len(got), exits)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestWhatCannotBeTracedIsNotRun(t *testing.T) {
	b := newBench(Options{TraceFile: t.TempDir(), Exit: func(int) { t.Error("it was run") }})
	if _, err := b.run(t.Context(), "exit", `{}`); err == nil || !strings.Contains(err.Error(), "write trace") {
		t.Errorf("got %v", err)
	}
}
