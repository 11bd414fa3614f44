package lane

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// A claim goes through a record of the waiting log; what is none there is nobody's.
func TestClaimEntry(t *testing.T) {
	h := newOwnedShard(&Consumer{config: ConsumerConfig{Lane: "fast"}, log: slog.New(slog.DiscardHandler)}, 3, false)
	at := fold.State{Epoch: 7, Seq: 2}
	key := shard.ClaimKey("fast", "u", fold.IdentityOf("u", "x"), at)
	record := &kgo.Record{Key: key}
	if err := fillWait(record, shard.WaitRecord{Claim: &shard.Claim{TaskID: "a", Offset: 5, UntilMS: 9}}); err != nil {
		t.Fatal(err)
	}
	if e := h.waitEntry(fold.Stamp{Shard: "fast/3", Epoch: 7, Seq: 2}, record); e.Claim == nil ||
		*e.Claim != (shard.Claim{TaskID: "a", Offset: 5, UntilMS: 9}) || !bytes.Equal(e.Key, key) {
		t.Errorf("read as %+v", e)
	}
	if e := h.waitEntry(fold.Stamp{Shard: "fast/3", Epoch: 7, Seq: 2}, &kgo.Record{Key: key}); e.Claim != nil ||
		!bytes.Equal(e.Key, key) {
		t.Errorf("a tombstone is read as %+v", e)
	}
	if e := h.waitEntry(fold.Stamp{Shard: "fast/3", Epoch: 7, Seq: 2},
		&kgo.Record{Key: key, Value: []byte(`{}`)}); e.Claim != nil || e.Key != nil {
		t.Errorf("something else is read as %+v", e)
	}
}

const waitingTask = `{"task_id":"a","user_id":"u","task_name":"echo","mode":"debug","service":"echo"}`

// throughWaitingLog is the job that a lane record becomes once it has waited.
func throughWaitingLog(t *testing.T, lane *kgo.Record) *shard.Job {
	t.Helper()
	h := newOwnedShard(&Consumer{config: ConsumerConfig{Lane: "fast"}, log: kafka.Config{}.Logger}, 3, false)
	at, task := fold.State{Epoch: 7, Seq: 2}, &schemas.Task{UserID: "u", TaskID: "a"}
	wait := &shard.Wait{For: schemas.WaitTime, Offset: 5, Created: schemas.AtTime(time.UnixMilli(1))}
	record := &kgo.Record{Key: fold.WaitKey{Lane: "fast", UserID: "u", TaskID: "a", At: at}.Encode()}
	if err := fillWait(record, shard.WaitRecord{Job: &shard.Job{Task: task, Payload: &Delivery{record: lane}},
		Wait: wait}); err != nil {
		t.Fatal(err)
	}
	e := h.waitEntry(fold.Stamp{Shard: "fast/3", Epoch: 7, Seq: 2}, record)
	if e.Wait == nil {
		t.Fatal("it is nobody's")
	}
	h.spill.dir = t.TempDir()
	defer h.spill.close()
	j, err := (*port)(h).Restore((*port)(h).Spill(e.Payload))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// A dead letter of a task that has waited has the key of its lane record, or its
// user's id where that is not known.
func TestWaitingTaskKeepsItsKey(t *testing.T) {
	for sent, want := range map[string]string{
		"u": "u", "other/key": "other/key", "": "u", strings.Repeat("k", shard.MaxWaitKeyBytes+1): "u",
	} {
		j := throughWaitingLog(t, &kgo.Record{Key: []byte(sent), Value: []byte(waitingTask)})
		if got := j.Payload.(*Delivery).record.Key; !bytes.Equal(got, []byte(want)) || j.Invalid != nil {
			t.Errorf("sent with %.20q it has the key %q, invalid: %v", sent, got, j.Invalid)
		}
	}
}

// What something else has put into the waiting log is refused under the name that it
// goes by there.
func TestForeignWaitingRecordIsRefused(t *testing.T) {
	for _, value := range []string{"no JSON", "7", "{}", strings.Replace(waitingTask, `"a"`, `"b"`, 1), ""} {
		j := throughWaitingLog(t, &kgo.Record{Value: []byte(value)})
		if j.Invalid == nil || j.Task.UserID != "u" || j.Task.TaskID != "a" || j.Identity != fold.IdentityOf("u", "a") {
			t.Errorf("%q: invalid %v, of task %+v", value, j.Invalid, j.Task)
		}
	}
}
