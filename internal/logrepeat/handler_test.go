package logrepeat_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/logrepeat"
	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/internal/pace"
)

func newLogger() (*slog.Logger, *logtest.Buffer) {
	out := new(logtest.Buffer)
	return slog.New(logrepeat.New(slog.NewTextHandler(out, nil))), out
}

func TestAnHourOfOneErrorIsAFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := newLogger()
		parts := []*slog.Logger{log.With("part", "a"), log.With("part", "b").WithGroup("g")}
		total := 0
		for range 3600 {
			for partition := range 10 {
				parts[partition%2].Error("fetch tasks", "partition", partition, "error", fmt.Errorf("try %d", total))
				total++
			}
			pace.Sleep(t.Context(), time.Second)
		}
		pace.Sleep(t.Context(), 2*time.Minute)
		synctest.Wait() // for what the window's end writes
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) > 3+61 {
			t.Errorf("an hour has %d lines, want 3 and one a minute", len(lines))
		}
		// Every occurrence is accounted for.
		told := 0
		for _, line := range lines {
			repeated := 1
			if _, after, ok := strings.Cut(line, "repeated="); ok {
				if _, err := fmt.Sscan(after, &repeated); err != nil {
					t.Fatal(err)
				}
			}
			told += repeated
		}
		if told != total {
			t.Errorf("the lines tell of %d errors, want %d", told, total)
		}
	})
}

func TestWhatDoesNotRepeatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := newLogger()
		for i := range 200 {
			log.Warn(fmt.Sprint("warning ", i))
			log.Info("information")
		}
		if got := strings.Count(out.String(), "\n"); got != 400 {
			t.Errorf("%d lines, want 400", got)
		}
		out.Reset()
		pace.Sleep(t.Context(), time.Minute+time.Second)
		synctest.Wait()
		log.Warn("warning 7")
		pace.Sleep(t.Context(), time.Hour)
		synctest.Wait()
		if got := out.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, "repeated") {
			t.Errorf("a message that comes again later is written as %q", got)
		}
	})
}

// A message with something of its own in it must not cost memory without end.
func TestMessagesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := newLogger()
		for i := range 100_000 {
			log.Warn(fmt.Sprint("warning ", i))
		}
		if got := strings.Count(out.String(), "\n"); got < 1000 || got > 1010 {
			t.Errorf("%d lines, want about 1000", got)
		}
		pace.Sleep(t.Context(), time.Minute)
		synctest.Wait()
		if !strings.Contains(out.String(), "repeated=98997") {
			t.Error("what was left out is not summed up")
		}
		pace.Sleep(t.Context(), 2*time.Minute)
	})
}
