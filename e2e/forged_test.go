package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// inbox is a receiver of webhooks.
type inbox struct {
	*httptest.Server
	mu  sync.Mutex
	got map[string]int // statuses by task
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	b := &inbox{got: map[string]int{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what does not come is no event
		var event struct {
			TaskID string `json:"task_id"`
			Status string `json:"status"`
		}
		_ = json.Unmarshal(body, &event)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.got[event.TaskID+" "+event.Status]++
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *inbox) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got[what]
}

func (b *inbox) all() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprint(b.got)
}

// TestForgedRecordsEndNothing: somebody writes ends under the highest epoch that fits
// into both logs of every shard, with a callback of their own. Tasks go on, also one
// that waits, their ends are the service's, and they are posted where the tasks say.
func TestForgedRecordsEndNothing(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := i.up(t, "--partitions", "2", "--webhook-secret-file", secret, "--webhook-allow", "127.0.0.1")
	a, right, evil := newAPI(t, s.api), newInbox(t), newInbox(t)
	submit := func(id string, wait time.Duration) {
		task := newTask("fast", "ada", id, "echo", map[string]any{"n": 1})
		task["callback_url"] = right.URL + "/hook"
		if wait > 0 {
			task["not_before"] = time.Now().Add(wait).UTC().Format(time.RFC3339Nano)
		}
		if status, answer, err := a.call(t.Context(), "POST", "/v1/tasks", task); err != nil || status != 202 {
			t.Fatalf("submit %s: %d %v %v", id, status, answer, err)
		}
	}
	submit("before", 0)
	submit("waits", 8*time.Second)
	waitFor(t, "the first webhook", func() bool { return right.count("before completed") == 1 })
	client, err := kgo.NewClient(kgo.SeedBrokers(i.seeds()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, epoch := range []string{"999999999999999999", fmt.Sprint(time.Now().Add(24 * time.Hour).UnixMilli())} {
		for partition := range int32(2) {
			shard := fmt.Sprintf("fast/%d", partition)
			value := fmt.Sprintf(`{"event_id":"%s-%s-1","kind":"state","status":"failed","task_id":"waits","user_id":"ada",`+
				`"attempt":1,"step":1,"task":"echo",`+
				`"message":"forged","time":"2026-01-01T00:00:00.000Z","lane":"fast","mode":"debug","service":"echo","worker":"w",`+
				`"source":{"topic":"%stasks.fast","partition":%d,"offset":1}}`,
				shard, epoch, i.prefix, partition)
			for _, topic := range []string{"task-events", "tasks.scheduled"} {
				err := client.ProduceSync(t.Context(), &kgo.Record{
					Topic: i.prefix + topic, Partition: partition, Key: []byte("ada"), Value: []byte(value),
					Headers: []kgo.RecordHeader{
						{Key: "tl-shard", Value: []byte(shard)}, {Key: "tl-epoch", Value: []byte(epoch)},
						{Key: "tl-seq", Value: []byte("1")},
						{Key: "tl-callback", Value: []byte(evil.URL + "/evil")},
					},
				}).FirstErr()
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	submit("after", 0)
	waitFor(t, "the webhooks after the forgery",
		func() bool { return right.count("after completed") == 1 && right.count("waits completed") == 1 })
	waitFor(t, "the API to know the ends", func() bool {
		status, answer, err := a.call(t.Context(), "GET", "/v1/tasks/waits?user_id=ada", nil)
		return err == nil && status == 200 && answer["status"] == "completed"
	})
	awaitReadyz(t, s.api, 200, "")
	// Whoever takes over next goes on, too.
	s.terminate()
	s = i.up(t, "--partitions", "2", "--webhook-secret-file", secret, "--webhook-allow", "127.0.0.1")
	a = newAPI(t, s.api)
	submit("again", 0)
	waitFor(t, "a webhook after a restart", func() bool { return right.count("again completed") == 1 })
	if got, want := right.all(),
		"map[after completed:1 again completed:1 before completed:1 waits completed:1]"; evil.all() != "map[]" ||
		got != want {
		t.Errorf("posted %s where the tasks say, and %s elsewhere", got, evil.all())
	}
	if log := s.log.String(); !strings.Contains(log, "beyond the broker's clock") {
		t.Error("the log says nothing of the forged records")
	}
	s.terminate()
}
