package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logbook reads the raw topics and applies the rule of docs/DELIVERY.md, as
// anybody with a Kafka client could.
type logbook struct {
	t            *testing.T
	client       *kgo.Client
	installation *installation

	mu      sync.Mutex
	shards  map[string][2]int64 // epoch and seq by shard
	tasks   map[string][]entry  // counted events by user/task/shard
	letters []map[string]string // headers of the dead letters
	values  map[string][]string // reasons of dead letters by value
	next    map[int32]int64     // where each partition is read on
	stale   int                 // records of superseded owners
	repeats int                 // records written twice
	changed chan struct{}
}

// entry is one counted event.
type entry struct {
	EventID   string          `json:"event_id"`
	UserID    string          `json:"user_id"`
	TaskID    string          `json:"task_id"`
	Kind      string          `json:"kind"`
	Status    string          `json:"status"`
	Attempt   int             `json:"attempt"`
	Result    json.RawMessage `json:"result"`
	Error     string          `json:"error"`
	ErrorCode string          `json:"error_code"`
	Worker    string          `json:"worker"`
	Lane      string          `json:"lane"`
	at        time.Time       // when the broker took it
}

func (e entry) terminal() bool {
	return e.Kind == "state" && (e.Status == "completed" || e.Status == "failed" || e.Status == "timed_out" ||
		e.Status == "cancelled")
}

// read starts to follow an installation's topics from their beginning.
func read(t *testing.T, i *installation) *logbook {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(i.seeds()...),
		kgo.ConsumeTopics(i.prefix+"task-events", i.prefix+"tasks.dlq"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.FetchMaxWait(250*time.Millisecond), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	b := &logbook{
		t: t, client: client, installation: i, next: map[int32]int64{}, shards: map[string][2]int64{},
		tasks: map[string][]entry{}, values: map[string][]string{}, changed: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			b.take(client.PollRecords(ctx, 5000))
		}
	}()
	t.Cleanup(func() { cancel(); <-done; client.Close() })
	return b
}

func (b *logbook) take(fetches kgo.Fetches) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fetches.EachRecord(func(r *kgo.Record) {
		headers := map[string]string{}
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		if r.Topic == b.installation.prefix+"tasks.dlq" {
			b.letters = append(b.letters, headers)
			b.values[string(r.Value)] = append(b.values[string(r.Value)], headers["tl-reason"])
			return
		}
		b.fold(r, headers)
	})
	close(b.changed)
	b.changed = make(chan struct{})
}

// fold is the rule: a higher epoch takes the shard over, a lower one and a
// sequence number that is not higher do not count.
func (b *logbook) fold(r *kgo.Record, headers map[string]string) {
	b.next[r.Partition] = r.Offset + 1
	shard := headers["tl-shard"]
	epoch, err1 := strconv.ParseInt(headers["tl-epoch"], 10, 64)
	seq, err2 := strconv.ParseInt(headers["tl-seq"], 10, 64)
	if shard == "" || err1 != nil || err2 != nil {
		b.t.Errorf("record %d/%d on task-events has headers %v", r.Partition, r.Offset, headers)
		return
	}
	last := b.shards[shard]
	switch {
	case epoch < last[0]:
		b.stale++
		return
	case epoch == last[0] && seq <= last[1]:
		b.repeats++
		return
	}
	b.shards[shard] = [2]int64{epoch, seq}
	var e entry
	if err := json.Unmarshal(r.Value, &e); err != nil {
		b.t.Errorf("record %d/%d on task-events: %v", r.Partition, r.Offset, err)
		return
	}
	if e.Kind == "fence" || e.Kind == "mark" || e.Kind == "repeat" {
		return
	}
	e.at = r.Timestamp
	key := e.UserID + "/" + e.TaskID + "/" + shard
	b.tasks[key] = append(b.tasks[key], e)
}

// until waits for a condition on what was read.
func (b *logbook) until(what string, within time.Duration, holds func() bool) {
	b.t.Helper()
	if !b.waits(within, holds) {
		b.t.Fatalf("waited %v for %s", within, what)
	}
}

// waits is whether the condition held in time.
func (b *logbook) waits(within time.Duration, holds func() bool) bool {
	timeout := time.After(within)
	for {
		b.mu.Lock()
		ok, changed := holds(), b.changed
		b.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-timeout:
			return false
		}
	}
}

// ended is the last event of a task if it has ended, whatever its shard. The
// caller holds mu through until.
func (b *logbook) ended(user, task string) (entry, bool) {
	for _, lane := range []string{"fast", "heavy"} {
		for partition := range 64 {
			all := b.tasks[fmt.Sprintf("%s/%s/%s/%d", user, task, lane, partition)]
			if len(all) > 0 && all[len(all)-1].terminal() {
				return all[len(all)-1], true
			}
		}
	}
	return entry{}, false
}

// end waits for a task's end.
func (b *logbook) end(user, task string) entry {
	b.t.Helper()
	var last entry
	b.until("the end of "+task, deadline, func() (ok bool) {
		last, ok = b.ended(user, task)
		return ok
	})
	return last
}

// of is a user's counted events by task, in the order of the log.
func (b *logbook) of(user string) map[string][]entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	tasks := map[string][]entry{}
	for _, all := range b.tasks {
		if all[0].UserID == user {
			tasks[all[0].TaskID] = append(tasks[all[0].TaskID], all...)
		}
	}
	return tasks
}

// working is how many tasks of this worker, with ids that start so, have been
// started and not ended. The caller holds mu through until.
func (b *logbook) working(worker, prefix string) int {
	count := 0
	for _, all := range b.tasks {
		last := all[len(all)-1]
		if last.Worker == worker && last.Status == "running" && strings.HasPrefix(last.TaskID, prefix) {
			count++
		}
	}
	return count
}

// check holds every task that was read against the invariants: one end, nothing
// after it, attempts that only rise, `running` before an end that was worked for.
func (b *logbook) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, all := range b.tasks {
		ends, attempt := 0, 0
		for _, e := range all {
			if ends > 0 {
				b.t.Errorf("%s: %s %s counts after the end", key, e.Kind, e.Status)
			}
			if e.terminal() {
				ends++
			}
			if e.Attempt < attempt {
				b.t.Errorf("%s: attempt %d after %d", key, e.Attempt, attempt)
			}
			attempt = e.Attempt
			if e.Status == "completed" && all[0].Status != "running" {
				b.t.Errorf("%s: completed without having been started", key)
			}
		}
	}
}
