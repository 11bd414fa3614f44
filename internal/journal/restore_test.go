package journal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

const waitingTask = `{"task_id":"a","user_id":"u","task_name":"echo","mode":"debug","service":"echo"}`

// throughWaitingLog is the job that a lane record becomes once it has waited.
func throughWaitingLog(t *testing.T, lane *kgo.Record) *Job {
	t.Helper()
	h := newHeld(&Consumer{config: ConsumerConfig{Lane: "fast"}, log: kafka.Config{}.Logger}, 3)
	at := State{Epoch: 7, Seq: 2}
	wait := &Wait{For: schemas.WaitTime, Offset: 5, Created: schemas.AtTime(time.UnixMilli(1))}
	record := &kgo.Record{Key: waitKey("fast", job(0, "a").Task, at)}
	if err := fillWait(record, WaitRecord{Job: &Job{Task: job(0, "a").Task, Payload: &Delivery{record: lane}}, Wait: wait}); err != nil {
		t.Fatal(err)
	}
	e := h.waitEntry(Stamp{"fast/3", 7, 2}, record)
	if e.Wait == nil {
		t.Fatal("it is nobody's")
	}
	h.shelf.dir = t.TempDir()
	defer h.shelf.close()
	j, err := (*port)(h).Restore((*port)(h).Shelve(e.Payload))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// A dead letter of a task that has waited has the key of its lane record, or its
// user's id where that is not known.
func TestWaitingTaskKeepsItsKey(t *testing.T) {
	for sent, want := range map[string]string{
		"u": "u", "other/key": "other/key", "": "u", strings.Repeat("k", maxWaitKeyBytes+1): "u",
	} {
		j := throughWaitingLog(t, &kgo.Record{Key: []byte(sent), Value: []byte(waitingTask)})
		if got := j.Payload.(*Delivery).record.Key; !bytes.Equal(got, []byte(want)) || j.Invalid != nil {
			t.Errorf("sent with %.20q it has the key %q, invalid: %v", sent, got, j.Invalid)
		}
	}
}

// What something else has put into the waiting log is refused and buried, and
// nothing is left of it.
func TestForeignWaitingRecordIsRefused(t *testing.T) {
	for _, value := range []string{"no JSON", "7", "{}", strings.Replace(waitingTask, `"a"`, `"b"`, 1), ""} {
		read := throughWaitingLog(t, &kgo.Record{Value: []byte(value)})
		s, d := taken(t)
		w := letWait(t, s, d, works(t, s, d, job(0, "a")), d.now.Add(time.Hour))
		w.payload = read
		d.now = d.now.Add(time.Hour)
		s.Tick()
		if len(d.buried) != 1 || d.buried[0].obituary().reason != schemas.CodeInvalidTask {
			t.Fatalf("%q: %d letters", value, len(d.buried))
		}
		s.Buried(d.buried[0])
		d.turn(t, s)
		e := d.last().Event
		if e == nil || e.Status != schemas.Failed || e.UserID != "u" || e.TaskID != "a" {
			t.Errorf("%q: the last event is %+v", value, e)
		}
		if s.waits.waiters.count != 0 || len(s.active) != 0 || !s.Quiet() {
			t.Errorf("%q: %d waiters, %d active", value, s.waits.waiters.count, len(s.active))
		}
	}
}
