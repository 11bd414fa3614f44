package lane

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// TestEventThatCannotBeWrittenIsReplaced: whatever a service made of an event,
// something well-formed with the same stamp goes into the journal.
func TestEventThatCannotBeWrittenIsReplaced(t *testing.T) {
	event := func(change func(*schemas.Event)) *schemas.Event {
		e := &schemas.Event{
			TaskID: "t", UserID: "u", Task: "draw", Kind: schemas.KindState, Status: schemas.Completed,
			Time:   schemas.AtTime(time.Now()),
			Result: jsontext.Value(`{"ok":true}`),
		}
		change(e)
		return e
	}
	tests := []struct {
		name   string
		event  *schemas.Event
		status schemas.Status
		code   schemas.ErrorCode
	}{
		{"fine", event(func(*schemas.Event) {}), schemas.Completed, ""},
		{"broken result", event(func(e *schemas.Event) { e.Result = jsontext.Value(`{"ok"`) }), schemas.Failed,
			schemas.CodeServiceError},
		{"huge result", event(func(e *schemas.Event) {
			e.Result = jsontext.Value(`"` + strings.Repeat("x", schemas.MaxEventBytes) + `"`)
		}), schemas.Failed, schemas.CodeServiceError},
		{"huge output", event(func(e *schemas.Event) {
			e.Kind, e.Status, e.Result = schemas.KindOutput, schemas.Running, nil
			e.Output = &schemas.Output{Text: strings.Repeat("\x01", schemas.MaxEventBytes/2)}
		}), schemas.Running, ""},
	}
	stamp := fold.Stamp{Shard: "fast/3", Epoch: 7, Seq: 9}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			value, err := encode(shard.Record{Stamp: stamp, Event: test.event}, nil)
			if err != nil || len(value) > maxValueBytes {
				t.Fatalf("%d bytes, %v", len(value), err)
			}
			got, err := schemas.DecodeEvent(value)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != test.status || got.ErrorCode != test.code || got.EventID != stamp.EventID() {
				t.Errorf("wrote %s %q %s", got.Status, got.ErrorCode, got.EventID)
			}
		})
	}
}

// TestCutLetterKeepsItsReasons: a record too large for the dead letters is cut,
// and says so; its sender's headers go, Tasklane's stay.
func TestCutLetterKeepsItsReasons(t *testing.T) {
	a := &Appender{topics: schemas.Topics{Prefix: "p."}}
	record := &kgo.Record{
		Topic: "p.tasks.fast", Partition: 3, Offset: 41, Key: make([]byte, 5000), Value: make([]byte, 5<<20),
		Headers: []kgo.RecordHeader{{Key: "big", Value: make([]byte, 1<<20)},
			{Key: schemas.HeaderReason, Value: []byte("older")}},
	}
	letter := cut(a.deadLetter(record, shard.DeadLetter{Reason: schemas.CodeInvalidTask,
		Text: "invalid task: too large", Attempt: 2}))
	if letter.Topic != "p.tasks.dlq" || len(letter.Value) != maxCutBytes || len(letter.Key) != maxCutKeyBytes {
		t.Errorf("letter to %s with %d bytes and a key of %d", letter.Topic, len(letter.Value), len(letter.Key))
	}
	got := map[string]string{}
	for _, h := range letter.Headers {
		if _, twice := got[h.Key]; twice {
			t.Errorf("header %s stands twice", h.Key)
		}
		got[h.Key] = string(h.Value)
	}
	want := map[string]string{
		schemas.HeaderReason: "invalid_task", schemas.HeaderError: "invalid task: too large",
		schemas.HeaderTopic:     "p.tasks.fast",
		schemas.HeaderPartition: "3", schemas.HeaderOffset: "41", schemas.HeaderAttempt: "2",
		schemas.HeaderTruncated: "5242880",
	}
	if len(got) != len(want) {
		t.Errorf("headers %v", got)
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("header %s is %q, want %q", key, got[key], value)
		}
	}
}

// What only Tasklane says of a task cannot be said by its sender, whatever the name
// and the letter case: a reader of dead letters could not tell the two apart.
func TestSendersCannotGiveOwnHeaders(t *testing.T) {
	var sent []kgo.RecordHeader
	for _, name := range []string{
		"tl-reason", "TL-REASON", "Tl-Error", "tl-history", "tl-Attempt", "tl-topic", "tl-offset", "tl-callback",
		"TL-Delivery", "tl-tries", "tl-outcome",
		"tl-created", "tl-due", "tl-epoch", "tL-shard", "tl-waiting", "tl-truncated", "tl-not-invented-yet", "tl-",
		" tl-reason",
	} {
		sent = append(sent, kgo.RecordHeader{Key: name, Value: []byte("forged")})
	}
	for _, name := range []string{"traceparent", "tl", "tlx", "x-tl-reason", "title", ""} {
		sent = append(sent, kgo.RecordHeader{Key: name, Value: []byte("mine")})
	}
	a := new(Appender)
	record := &kgo.Record{Topic: "tasks.fast", Partition: 3, Offset: 41, Value: []byte("task"), Headers: sent}
	waiting := &kgo.Record{}
	err := fillWait(waiting, shard.WaitRecord{Job: &shard.Job{Task: &schemas.Task{UserID: "u"},
		Payload: &Delivery{record: record}}, Wait: &shard.Wait{For: schemas.WaitTime, Offset: 41}})
	if err != nil {
		t.Fatal(err)
	}
	for where, headers := range map[string][]kgo.RecordHeader{
		"letter":         a.deadLetter(record, shard.DeadLetter{Reason: schemas.CodePanic, Text: "why"}).Headers,
		"waiting record": waiting.Headers,
	} {
		mine := 0
		for _, h := range headers {
			switch string(h.Value) {
			case "forged":
				t.Errorf("the %s has the sender's %q", where, h.Key)
			case "mine":
				mine++
			}
		}
		if mine != 6 {
			t.Errorf("the %s has %d of the sender's own 6 headers", where, mine)
		}
	}
}

func TestWaitingRecordKeepsTheSendersHeaders(t *testing.T) {
	own := kgo.RecordHeader{Key: "traceparent", Value: []byte("00-1")}
	lane := &kgo.Record{Value: []byte("task"), Headers: []kgo.RecordHeader{
		own, {Key: schemas.HeaderReason, Value: []byte("old")}, {Key: schemas.HeaderWaiting, Value: []byte("old")},
		{Key: schemas.HeaderEpoch, Value: []byte("1")},
	}}
	stamp := fold.Stamp{Shard: "fast/3", Epoch: 7, Seq: 2}
	record := &kgo.Record{Headers: fold.Headers[kgo.RecordHeader](stamp)}
	wait := &shard.Wait{For: schemas.WaitTime, Offset: 5, Created: schemas.AtTime(time.UnixMilli(1))}
	if err := fillWait(record, shard.WaitRecord{Stamp: stamp,
		Job: &shard.Job{Task: &schemas.Task{UserID: "u"}, Payload: &Delivery{record: lane}}, Wait: wait}); err != nil {
		t.Fatal(err)
	}
	if read, ok := fold.ReadStamp(record.Headers); !ok || read != stamp || string(record.Value) != "task" ||
		len(record.Headers) != 5 {
		t.Fatalf("stamp %+v, value %q, headers %v", read, record.Value, record.Headers)
	}
	if read, err := shard.DecodeWait(headerOf(record, schemas.HeaderWaiting)); err != nil || read.Offset != 5 {
		t.Errorf("waits as %+v: %v", read, err)
	}
	if got := string(headerOf(record, own.Key)); got != "00-1" {
		t.Errorf("the sender's header is %q", got)
	}
	if len(lane.Headers) != 4 {
		t.Error("the lane's record was changed")
	}
	fence := &kgo.Record{}
	if err := fillWait(fence, shard.WaitRecord{Sign: &schemas.Sign{Kind: schemas.KindFence, Shard: "fast/3", Epoch: 7,
		Seq: 1}}); err != nil || len(fence.Value) == 0 {
		t.Errorf("a fence has the value %q: %v", fence.Value, err)
	}
	tombstone := &kgo.Record{}
	if err := fillWait(tombstone, shard.WaitRecord{Stamp: stamp}); err != nil || tombstone.Value != nil {
		t.Errorf("a tombstone has the value %q: %v", tombstone.Value, err)
	}
}

func TestCallbackIsAHeaderOfItsRecord(t *testing.T) {
	brokers := kafkatest.Start(t)
	topics := schemas.Topics{Prefix: kafkatest.Prefix(t)}
	client := kafkatest.Client(t, brokers, kgo.ConsumeTopics(topics.Events()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := topology.Ensure(ctx, client, topology.Spec{Topics: topics, Lanes: []string{"fast"},
		Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	a, err := NewAppender(kafka.Config{Brokers: []string{brokers}}, topics)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	event := &schemas.Event{TaskID: "t", UserID: "u", Kind: schemas.KindState, Status: schemas.Completed,
		Time: schemas.AtTime(time.Now())}
	done := make(chan error, 1)
	a.append(0, shard.Record{Stamp: fold.Stamp{Shard: "fast/0", Epoch: 7, Seq: 9}, Event: event,
		Callback: "https://example.org/"}, func(_ int64, err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	records := client.PollFetches(ctx).Records()
	if len(records) != 1 || string(headerOf(records[0], schemas.HeaderCallback)) != "https://example.org/" {
		t.Fatalf("read %d records, %v", len(records), records)
	}
	if stamp, ok := fold.ReadStamp(records[0].Headers); !ok ||
		stamp != (fold.Stamp{Shard: "fast/0", Epoch: 7, Seq: 9}) {
		t.Errorf("its stamp is %v", stamp)
	}
}
