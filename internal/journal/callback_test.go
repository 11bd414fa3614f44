package journal

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// TestOnlyTheEndCarriesTheCallback: the record of the terminal event says where
// it is delivered to, and no record before it does.
func TestOnlyTheEndCarriesTheCallback(t *testing.T) {
	s, d := running(t)
	j := job(0, "a")
	j.Task.CallbackURL = "https://example.org/hook"
	s.Receive(j)
	if !s.Begin(j) {
		t.Fatal("the job cannot begin")
	}
	if got := d.last(); got.Callback != "" || got.Event.Status != schemas.Running {
		t.Errorf("%s carries the callback %q", got.Event.Status, got.Callback)
	}
	s.Conclude(j, s.FailedEvent(j, schemas.CodeServiceError, "no"))
	if got := d.last(); got.Callback != "https://example.org/hook" || got.Event.Status != schemas.Failed {
		t.Errorf("%s carries the callback %q", got.Event.Status, got.Callback)
	}
}

func TestCallbackThatIsNoURLIsLeftOut(t *testing.T) {
	end := &schemas.Event{Kind: schemas.KindState, Status: schemas.Failed}
	for url, want := range map[string]string{
		"": "", "https://example.org/a?b=c": "https://example.org/a?b=c", "ftp://example.org/": "", "https://exa mple.org/": "",
	} {
		if got := callbackOf(&schemas.Task{CallbackURL: url}, end); got != want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
	repeat := &schemas.Event{Kind: schemas.KindRepeat, Status: schemas.Pending}
	if got := callbackOf(&schemas.Task{CallbackURL: "https://example.org/"}, repeat); got != "" {
		t.Errorf("a repeat is delivered to %q", got)
	}
}

func TestCallbackIsAHeaderOfItsRecord(t *testing.T) {
	brokers := kafkatest.Start(t)
	topics := schemas.Topics{Prefix: kafkatest.Prefix(t)}
	client := kafkatest.Client(t, brokers, kgo.ConsumeTopics(topics.Events()), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := kafka.EnsureTopics(ctx, client, kafka.Topology{Topics: topics, Lanes: []string{"fast"}, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	a, err := NewAppender(kafka.Config{Brokers: []string{brokers}}, topics)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	event := &schemas.Event{TaskID: "t", UserID: "u", Kind: schemas.KindState, Status: schemas.Completed, Time: schemas.AtTime(time.Now())}
	done := make(chan error, 1)
	a.append(0, Record{Stamp: Stamp{"fast/0", 7, 9}, Event: event, Callback: "https://example.org/"}, func(_ int64, err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	records := client.PollFetches(ctx).Records()
	if len(records) != 1 || string(headerOf(records[0], schemas.HeaderCallback)) != "https://example.org/" {
		t.Fatalf("read %d records, %v", len(records), records)
	}
	if stamp, ok := ReadStamp(records[0].Headers); !ok || stamp != (Stamp{"fast/0", 7, 9}) {
		t.Errorf("its stamp is %v", stamp)
	}
}
