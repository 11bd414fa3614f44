package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/badtasks"
)

// TestBadRecords puts every kind of bad record on a lane, between good ones:
// each ends as a dead letter with its reason, and as a failed event with a
// sentence about what to change if its sender can be told; the good ones run.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	book := read(t, i)
	producer := newProducer(t, i)
	cases := badtasks.All()
	records := []*kgo.Record{record(i, "fast", "first", newTask("", "good", "first", "echo", nil))}
	for _, c := range cases {
		records = append(records, &kgo.Record{Topic: i.prefix + "tasks.fast", Key: []byte("bad"), Value: c.Value})
	}
	records = append(records, record(i, "fast", "last", newTask("", "good", "last", "echo", nil)))
	produce(t, producer, records...)

	for _, id := range []string{"first", "last"} {
		if end := book.end("good", id); end.Status != "completed" {
			t.Errorf("good task %s ended %s %s", id, end.Status, end.Error)
		}
	}
	bad := 0
	for _, c := range cases {
		if c.Valid {
			continue
		}
		bad++
		var reasons []string
		book.until("the dead letter of "+c.Name, deadline, func() bool {
			reasons = book.values[string(c.Value)]
			return len(reasons) > 0
		})
		if reasons[0] != "invalid_task" {
			t.Errorf("%s: reason %q", c.Name, reasons[0])
		}
		if c.Identified {
			checkRefusal(t, c, book.end(badtasks.UserID, badtasks.TaskID(c.Name)))
		}
	}
	if bad < 100 {
		t.Errorf("only %d kinds of bad record", bad)
	}
	book.check()
	t.Logf("%d kinds of bad record", bad)
	select {
	case <-s.exited:
		t.Error("the process ended")
	default:
	}
	s.terminate()
}

func checkRefusal(t *testing.T, c badtasks.Case, end entry) {
	t.Helper()
	if end.Status != "failed" || end.ErrorCode != "invalid_task" {
		t.Errorf("%s: ended %s %s", c.Name, end.Status, end.ErrorCode)
	}
	if end.Error == "" || !strings.Contains(end.Error, c.Field) {
		t.Errorf("%s: error %q does not name %q", c.Name, end.Error, c.Field)
	}
}

// TestTaskNobodyCanRun: an unknown service and an unknown method are failed
// events that name what there is, and dead letters that can be replayed.
func TestTaskNobodyCanRun(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	book, a := read(t, i), newAPI(t, s.api)
	unknown := newTask("fast", "u", "no-service", "echo", nil)
	unknown["service"] = "missing"
	a.must(202, "POST", "/v1/tasks", unknown)
	end := book.end("u", "no-service")
	if end.Status != "failed" || end.ErrorCode != "unknown_service" || !strings.Contains(end.Error, "debug/echo") {
		t.Errorf("ended %s %s %q", end.Status, end.ErrorCode, end.Error)
	}
	book.until("its dead letter", deadline, func() bool {
		return len(book.letters) == 1 && book.letters[0]["tl-reason"] == "unknown_service"
	})
	s.terminate()
}

// TestOversizedRecordInACompressedBatch: a batch that compresses well carries a
// record past the broker's limit. It is refused, cut to fit the dead letters.
func TestOversizedRecordInACompressedBatch(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	book := read(t, i)
	producer := newProducer(t, i, kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(16<<20))
	huge := record(i, "fast", "huge", newTask("", "u", "huge", "echo", map[string]any{"text": strings.Repeat("x", 5<<20)}))
	if err := producer.ProduceSync(t.Context(), huge).FirstErr(); err != nil {
		t.Logf("the broker or client refused it at once: %v", err)
		return
	}
	produce(t, producer, record(i, "fast", "huge", newTask("", "u", "next", "echo", nil)))
	if end := book.end("u", "next"); end.Status != "completed" {
		t.Errorf("the task behind it ended %s", end.Status)
	}
	if end := book.end("u", "huge"); end.ErrorCode != "invalid_task" {
		t.Errorf("ended %s %s", end.Status, end.ErrorCode)
	}
	book.until("the dead letter", deadline, func() bool {
		return len(book.letters) == 1 && book.letters[0]["tl-truncated"] != ""
	})
	s.terminate()
}

// newProducer is a client of a test's own.
func newProducer(t *testing.T, i *installation, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(i.seeds()...), kgo.ProducerBatchMaxBytes(1<<20 + 8<<10), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableClientMetrics(),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
