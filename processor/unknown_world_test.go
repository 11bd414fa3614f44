package processor_test

import (
	"strings"
	"testing"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// A Kafka client gets no answer: what it misspelt is told in an event.
func TestUnknownMembersAreToldInAnEvent(t *testing.T) {
	w := newWorld(t)
	w.start(nil, handlers(map[string]processor.Handler{"double": double}))
	w.send(schemas.LaneFast, task("t1", "double", `"input_data":{"N":1}`, `"not_befor":"2030-01-01T00:00:00Z"`,
		`"retry":{"max_atempts":9}`, `"colour":"red"`))
	w.send(schemas.LaneFast, task("t2", "double", `"input_data":{"N":2}`))
	for _, id := range []string{"t1", "t2"} {
		if end := w.end(id); end.Status != schemas.Completed {
			t.Errorf("%s ended %s: %s", id, end.Status, end.Error)
		}
	}
	told := 0
	for _, e := range w.history("t1") {
		if e.Kind != schemas.KindLog {
			continue
		}
		told++
		for _, want := range []string{`"not_befor" (did you mean "not_before"?)`,
			`"retry.max_atempts" (did you mean "retry.max_attempts"?)`, `"colour"`} {
			if e.Log.Level != "warn" || !strings.Contains(e.Log.Text, want) {
				t.Errorf("told %s: %s", e.Log.Level, e.Log.Text)
			}
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	for _, e := range w.history("t2") {
		if e.Kind == schemas.KindLog {
			t.Errorf("a task without any is told %s", e.Log.Text)
		}
	}
}
