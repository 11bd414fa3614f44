package processor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/logrepeat"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// lines gathers what a processor logs.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, strings.TrimSpace(string(b)))
	return len(b), nil
}

// with are the lines that have all of the parts.
func (l *lines) with(parts ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		missing := false
		for _, part := range parts {
			missing = missing || !strings.Contains(line, part)
		}
		if !missing {
			found = append(found, line)
		}
	}
	return found
}

// into has a processor log there, as the command does.
func (l *lines) into(c *processor.Config) {
	c.Logger = slog.New(logrepeat.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// A wrong record is told of: by a line with its place and reason, by a count, and by
// one line for all the others of a flood.
func TestDeadLettersAreToldOf(t *testing.T) {
	w, log := newWorld(t), new(lines)
	p, stop := w.startProcessor(log.into, handlers(map[string]processor.Handler{
		"double": double, "panics": func(context.Context, *processor.Context) (any, error) { panic("oh") },
	}))
	const count = 50
	for n := range count {
		w.send(schemas.LaneFast, fmt.Appendf(nil, "not json %d", n), task(fmt.Sprint("u", n), "nobody-has-this"),
			task(fmt.Sprint("i", n), "double", `"priority":99`))
	}
	w.send(schemas.LaneFast, task("p", "panics"))
	w.until("the letters", func() bool { return len(w.letters) == 3*count+1 })
	w.end("p")
	for reason, want := range map[string]int{"invalid_task": 2 * count, "unknown_service": count, "panic": 1,
		"worker_lost": 0} {
		line := fmt.Sprintf("tasklane_dead_letters_total{reason=%q} %d\n", reason, want)
		kafkatest.Eventually(t, "the metrics to have "+line, func() bool { // a letter counts when it is acknowledged
			var b bytes.Buffer
			p.WritePrometheus(&b)
			return strings.Contains(b.String(), line)
		})
	}
	stop()
	for reason, want := range map[string]int{"invalid_task": 2 * count, "unknown_service": count, "panic": 1} {
		told := log.with("level=WARN", "dead letter: "+reason, "topic="+w.topics.Lane(schemas.LaneFast), "offset=", "error=")
		if len(told) != min(want, 3) {
			t.Errorf("%d lines tell of the %d letters for %s: %q", len(told), want, reason, told)
		}
	}
	if all := log.with(""); len(all) > 30 {
		t.Errorf("%d lines for %d bad tasks: %q", len(all), 3*count, all)
	}
}

// What somebody asked for is no error, and its message is not that of a failure.
func TestEndsAreSaidAsWhatTheyAre(t *testing.T) {
	w, log, ran := newWorld(t), new(lines), newCounts()
	stop := w.start(log.into, blocking(ran), secondService(map[string]processor.Handler{
		"fail": func(context.Context, *processor.Context) (any, error) { return nil, errors.New("no luck") },
	}))
	w.send(schemas.LaneFast, task("runs", "block"))
	w.untilStatus("runs", schemas.Running)
	w.cancel("early")
	w.cancel("runs")
	w.end("runs") // so the processor has heard both
	w.send(schemas.LaneFast, task("early", "once"), task("late", "once", `"expires_at":"2020-01-01T00:00:00Z"`),
		[]byte(strings.Replace(string(task("failed", "fail")), `"service":"test"`, `"service":"test2"`, 1)))
	ends := map[string]struct{ message, level string }{
		"runs": {"Cancelled: block", "DEBUG"}, "early": {"Cancelled: once", "DEBUG"},
		"late": {"Expired before it was started: once", "DEBUG"}, "failed": {"Failed to execute task: fail", "ERROR"},
	}
	for id, want := range ends {
		if end := w.end(id); end.Message != want.message {
			t.Errorf("%s ends with the message %q, want %q", id, end.Message, want.message)
		}
	}
	stop()
	for id, want := range ends {
		if told := log.with("task ended: ", "task_id="+id+" "); len(told) != 1 ||
			!strings.Contains(told[0], "level="+want.level) {
			t.Errorf("the end of %s is told as %q, want level %s", id, told, want.level)
		}
	}
}

// secondService is another one, debug/test2.
func secondService(methods map[string]processor.Handler) processor.Service {
	return processor.Service{Mode: "debug", Name: "test2", Methods: methods}
}

// Whatever time a sender gives its record, the task was not queued for longer than it
// can have been.
func TestQueuedIsNoLongerThanItCanBe(t *testing.T) {
	w := newWorld(t)
	w.start(nil, handlers(map[string]processor.Handler{"double": double}))
	now := time.Now()
	stamps := map[string]time.Time{
		"seconds": time.UnixMilli(now.Unix()), "epoch": time.UnixMilli(1), "future": now.AddDate(70, 0, 0), "now": now,
		"years": now.AddDate(-5, 0, 0),
	}
	// In one batch: the embedded broker moves a batch's times, and not those between its
	// records.
	var records []*kgo.Record
	for id, at := range stamps {
		records = append(records, &kgo.Record{Topic: w.topics.Lane(schemas.LaneFast), Key: []byte("k"),
			Value: task(id, "double"), Timestamp: at})
	}
	if err := w.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for id := range stamps {
		m := w.end(id).Metrics
		if m == nil || m.QueuedMS < 0 || m.QueuedMS > float64(deadline.Milliseconds()) || m.RunMS < 0 {
			t.Errorf("%s has the metrics %+v", id, m)
		}
	}
}
