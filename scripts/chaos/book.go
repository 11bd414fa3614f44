package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/scripts/chaos/checker"
)

// book follows task-events and the dead letters while the run goes on, so that
// faults can be aimed at processors that hold work, and their effects seen. The
// verdict is not its business.
type book struct {
	client *kgo.Client

	mu      sync.Mutex
	fold    checker.Fold
	digests map[string]checker.Digest
	next    map[int32]int64 // offsets of task-events

	running map[string]string // worker by shard, user and task
	open    map[string]bool   // accepted "user/task" that have not ended
	done    map[string]bool   // tasks that have ended
	owner   map[string]string // worker by shard
	fences  []fence
	again   map[string]bool // "user/task" that have been started more than once and not ended
	convict []string        // tasks that were given up because their workers were lost
	counts  map[string]int  // of what evidence is made: ends by status and code, and so on
	stale   map[string]int  // records that do not count, by worker
	awaited []*takeOver
	recent  []*checker.Record // the last events that counted
}

// maxRecent bounds the events that are kept.
const maxRecent = 400

// fence is a take-over that counts.
type fence struct {
	shard, worker string
	at            time.Time
}

// takeOver is how long it took until a killed processor's shard had another
// owner and ran something.
type takeOver struct {
	shard          string
	killed         time.Time
	whole          bool // the group was whole when the owner was killed
	held           bool // the owner had work in the shard
	epoch          int64
	fenced, worked time.Duration
}

// event is as much of an event or sign as the book needs.
type event struct {
	UserID  string `json:"user_id"`
	TaskID  string `json:"task_id"`
	Kind    string `json:"kind"`
	Status  string `json:"status"`
	Worker  string `json:"worker"`
	Attempt int    `json:"attempt"`
	Code    string `json:"error_code"`
	Waiting *struct {
		For string `json:"for"`
	} `json:"waiting"`
}

// clientOpts are the options of the program's own clients.
func clientOpts(brokers []string, more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(100 * time.Millisecond), kgo.FetchMaxWait(250 * time.Millisecond),
		kgo.DisableClientMetrics(),
	}, more...)
}

func newBook(brokers []string) (*book, error) {
	client, err := kgo.NewClient(clientOpts(brokers, kgo.ConsumeTopics(eventsTopic, lettersTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, fmt.Errorf("make the book's client: %w", err)
	}
	return &book{
		client: client, fold: checker.Fold{}, digests: map[string]checker.Digest{}, next: map[int32]int64{},
		running: map[string]string{}, open: map[string]bool{}, done: map[string]bool{}, owner: map[string]string{},
		again: map[string]bool{}, counts: map[string]int{}, stale: map[string]int{},
	}, nil
}

// run follows until ctx ends.
func (b *book) run(ctx context.Context) {
	defer b.client.Close()
	for ctx.Err() == nil {
		fetches := b.client.PollRecords(ctx, 2000)
		b.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Topic == lettersTopic {
				b.counts["letters"]++
				return
			}
			b.take(record(r))
		})
		b.mu.Unlock()
	}
}

// record is a record as the checker takes it.
func record(r *kgo.Record) *checker.Record {
	headers := make(map[string]string, len(r.Headers))
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	return &checker.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Key: r.Key, Value: r.Value,
		Headers: headers,
	}
}

func (b *book) take(r *checker.Record) {
	b.next[r.Partition] = r.Offset + 1
	stamp, ok := checker.ReadStamp(r.Headers)
	if !ok {
		return
	}
	var e event
	_ = json.Unmarshal(r.Value, &e) // the checker says what is wrong with it
	if verdict, _ := b.fold.Take(stamp, r.Time); verdict != checker.Counts {
		b.stale[e.Worker]++
		return
	}
	digest := b.digests[stamp.Shard]
	digest.Add(r, stamp)
	b.digests[stamp.Shard] = digest
	b.awaitedBy(stamp, &e, r.Time)
	if len(r.Key) > 0 {
		b.note(stamp.Shard, &e)
		if b.recent = append(b.recent, r); len(b.recent) > 2*maxRecent {
			b.recent = append([]*checker.Record(nil), b.recent[maxRecent:]...)
		}
		return
	}
	b.counts[e.Kind]++
	if e.Kind == "fence" {
		b.owner[stamp.Shard] = e.Worker
		b.fences = append(b.fences, fence{stamp.Shard, e.Worker, r.Time})
	}
}

func (b *book) note(shard string, e *event) {
	b.counts[e.Kind]++
	if e.Kind != "state" {
		return
	}
	id := e.UserID + "/" + e.TaskID
	work := shard + " " + id
	switch e.Status {
	case "running":
		b.running[work] = e.Worker
		if e.Attempt > 1 {
			b.again[id] = true
		}
		return
	case "pending":
		delete(b.running, work)
		if e.Waiting != nil {
			b.counts["waiting "+e.Waiting.For]++
		}
		return
	}
	delete(b.running, work)
	if e.Code == "worker_lost" {
		b.convict = append(b.convict, id)
	}
	delete(b.again, id)
	b.counts["ended"]++
	b.counts[strings.TrimSpace(e.Status+" "+e.Code)]++
	delete(b.open, id)
	b.done[id] = true
}

// accepted notes that a task was acknowledged and has to end.
func (b *book) accepted(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done[id] { // an end, or that of the first of two, may come before
		b.open[id] = true
	}
}

// await starts to measure how a killed processor's shards are taken over.
func (b *book) await(worker string, killed time.Time, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	busy := map[string]bool{}
	for work := range b.running {
		shard, _, _ := strings.Cut(work, " ")
		busy[shard] = true
	}
	for shard, owner := range b.owner {
		if owner == worker {
			b.awaited = append(b.awaited, &takeOver{shard: shard, killed: killed, whole: whole, held: busy[shard],
				epoch: b.fold[shard].Epoch})
		}
	}
}

func (b *book) awaitedBy(s checker.Stamp, e *event, at time.Time) {
	for _, t := range b.awaited {
		if t.shard != s.Shard || s.Epoch <= t.epoch || t.worked > 0 {
			continue
		}
		if t.fenced == 0 {
			t.fenced = at.Sub(t.killed)
		}
		if e.Status == "running" && e.Kind == "state" {
			t.worked = at.Sub(t.killed)
		}
	}
}

// takeOvers are the measured ones.
func (b *book) takeOvers() []takeOver {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]takeOver, len(b.awaited))
	for i, t := range b.awaited {
		all[i] = *t
	}
	return all
}

// holds is how many tasks the worker has started and not ended.
func (b *book) holds(worker string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for _, w := range b.running {
		if w == worker {
			count++
		}
	}
	return count
}

// shardsOf are the shards that a worker has fenced last.
func (b *book) shardsOf(worker string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var shards []string
	for shard, owner := range b.owner {
		if owner == worker {
			shards = append(shards, shard)
		}
	}
	return shards
}

// retaken is how many of these shards have another owner now.
func (b *book) retaken(shards []string, from string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for _, shard := range shards {
		if b.owner[shard] != from {
			count++
		}
	}
	return count
}

// count is how often something was seen.
func (b *book) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[what]
}

func (b *book) staleOf(worker string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stale[worker]
}

// lastFence is when a shard was taken over last.
func (b *book) lastFence() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.fences) == 0 {
		return time.Time{}
	}
	return b.fences[len(b.fences)-1].at
}

// fencesBy is how often a worker has taken a shard over.
func (b *book) fencesBy(worker string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for _, f := range b.fences {
		if f.worker == worker {
			count++
		}
	}
	return count
}

// startedAgain is the tasks that have been started more than once and not ended.
func (b *book) startedAgain() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.again)
}

// convicted is the tasks that were given up because their workers were lost,
// beside those of which some already had been.
func (b *book) convicted(beside map[string]bool) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for _, id := range b.convict {
		if !beside[id] {
			count++
		}
	}
	return count
}

// runs reports whether a task has been started and has not ended.
func (b *book) runs(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for work := range b.running {
		if strings.HasSuffix(work, " "+id) {
			return true
		}
	}
	return false
}

// left is how many accepted tasks have not ended.
func (b *book) left() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open)
}

// ended reports whether an accepted task has ended.
func (b *book) ended(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done[id]
}

// states are how far every shard is, and last the newest events.
func (b *book) states() (states checker.Fold, last []*checker.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.fold), append(last, b.recent[max(0, len(b.recent)-maxRecent):]...)
}

// dropped is how many records did not count.
func (b *book) dropped() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for _, n := range b.stale {
		count += n
	}
	return count
}

// seen is what was read up to these ends, by shard; false if it is not there
// yet.
func (b *book) seen(ends map[int32]int64) (map[string]checker.Digest, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for partition, end := range ends {
		if b.next[partition] < end {
			return nil, false
		}
	}
	return maps.Clone(b.digests), true
}
