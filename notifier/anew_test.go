package notifier_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/notifier"
)

// readiness is what /readyz answers.
func readiness(t *testing.T, n *notifier.Notifier) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.Addr()+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// awaitReadiness waits until /readyz answers so, with such a text.
func awaitReadiness(t *testing.T, n *notifier.Notifier, status int, says string) {
	t.Helper()
	began := time.Now()
	for time.Since(began) < patience {
		if got, text := readiness(t, n); got == status && strings.Contains(text, says) {
			return
		}
		pace.Sleep(t.Context(), 20*time.Millisecond)
	}
	got, text := readiness(t, n)
	t.Fatalf("/readyz answers %d %q, want %d %q", got, text, status, says)
}

// TestTopicMadeAnew: the notifier is not ready without its topic, tells its clients to
// come back once there is another, and those hear that something is lost and what is
// said from then on.
func TestTopicMadeAnew(t *testing.T) {
	w := newWorld(t, nil)
	o := w.fence(0, 1)
	ada := watch(t, w.Notifier, "user_id", "ada")
	o.say("ada", "t", "one")
	ada.expect("one")
	admin := kadm.NewClient(w.client)
	if _, err := admin.DeleteTopics(t.Context(), w.topics.Events()); err != nil {
		t.Fatal(err)
	}
	awaitReadiness(t, w.Notifier, http.StatusServiceUnavailable, w.topics.Events()+" does not exist")
	w.createTopics()
	if code, _ := ada.closeCode(); code != 1011 {
		t.Errorf("closed with %d, want 1011", code)
	}
	awaitReadiness(t, w.Notifier, http.StatusOK, "")
	w.client = kafkatest.Client(t, w.brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	back := watch(t, w.Notifier, "user_id", "ada", "since", ada.cursor)
	if back.hello.Recovered || !strings.Contains(back.hello.Reason, "made anew") {
		t.Errorf("hello %+v, want that the log is another one", back.hello)
	}
	fresh := watch(t, w.Notifier, "user_id", "ada")
	o = w.fence(0, 1)
	o.say("ada", "t", "two")
	back.expect("two")
	fresh.expect("two")
	watch(t, w.Notifier, "user_id", "ada", "since", "earliest").expect("two")
}

// TestPartitionsAdded: their events come to whoever is connected.
func TestPartitionsAdded(t *testing.T) {
	w := newWorld(t, nil)
	ada := watch(t, w.Notifier, "user_id", "ada")
	admin := kadm.NewClient(w.client)
	if _, err := admin.CreatePartitions(t.Context(), 2, w.topics.Events()); err != nil {
		t.Fatal(err)
	}
	for { // a cluster tells of them a little later
		topics, err := admin.ListTopics(t.Context(), w.topics.Events())
		if err != nil {
			t.Fatal(err)
		}
		lacking, err := kafka.Unserved(t.Context(), admin, w.topics.Events())
		if len(topics[w.topics.Events()].Partitions) == partitions+2 && err == nil && len(lacking) == 0 {
			break
		}
	}
	w.client = kafkatest.Client(t, w.brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	w.fence(partitions+1, 1).say("ada", "t", "in a partition that was added")
	ada.expect("in a partition that was added")
	awaitReadiness(t, w.Notifier, http.StatusOK, "")
}
