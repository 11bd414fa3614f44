package taskview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// bounds are what the cluster says of a lane's partition: below them nobody will
// receive a record any more.
type bounds struct {
	start int64 // the first offset that is still there
	end   int64
	// committed is the first offset that the lane's group has not finished, -1
	// without a commit; ours if it is a processor's own commit and no tool's.
	committed int64
	ours      bool
	// deserted says that the group has no member: nobody holds in memory what is
	// no longer on the lane.
	deserted bool
}

// lacks reports whether nobody will receive the record at an offset: it is finished, or
// the lane does not hold it.
func (b bounds) lacks(offset int64) bool {
	return offset < b.committed || offset < b.start || offset >= b.end
}

// survey is one look at the lanes, and where task-events ended after it: who has
// folded up to there has seen the ends of everything that the commits passed.
type survey struct {
	at      time.Time
	lanes   map[topicPartition]bounds
	journal map[int32]int64
	ends    map[topicPartition]int64 // of all topics, for everybody
	read    map[topicPartition]int64 // up to which a read_committed reader gets
	waits   map[int32]position       // the ends of tasks.scheduled
}

// survey asks for commits first, then for starts, then for ends: what is finished
// stands in the journal before it is committed.
func (l *logClient) survey(ctx context.Context) (survey, error) {
	found := survey{at: time.Now(), lanes: map[topicPartition]bounds{}, journal: map[int32]int64{}}
	commits, err := l.commits(ctx)
	if err != nil {
		return survey{}, err
	}
	starts, err := l.list(ctx, l.admin.ListStartOffsets)
	if err != nil {
		return survey{}, err
	}
	if err := l.findDeserted(ctx, commits, starts); err != nil {
		return survey{}, err
	}
	if found.ends, err = l.list(ctx, l.admin.ListEndOffsets); err != nil {
		return survey{}, err
	}
	if found.waits, err = l.waitsEnds(ctx); err != nil {
		return survey{}, err
	}
	if found.read, err = l.ends(ctx); err != nil {
		return survey{}, err
	}
	for at, start := range starts {
		if at.topic == l.events {
			found.journal[at.partition] = found.read[at]
			continue
		}
		b := commits[at]
		b.start, b.end = start, found.ends[at]
		if b.committed > b.end { // beyond the lane's end: it says nothing of what is written now
			b.committed, b.ours = -1, false
		}
		found.lanes[at] = b
	}
	return found, nil
}

// waitsEnds are where tasks.scheduled ends, and in which leader epoch.
func (l *logClient) waitsEnds(ctx context.Context) (map[int32]position, error) {
	listed, err := l.admin.ListEndOffsets(ctx, l.config.Topics.Scheduled())
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list ends of %s: %w", l.config.Topics.Scheduled(), err)
	}
	ends := map[int32]position{}
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = position{next: o.Offset, epoch: o.LeaderEpoch} })
	return ends, nil
}

// commits are those of every lane's group, for all partitions.
func (l *logClient) commits(ctx context.Context) (map[topicPartition]bounds, error) {
	commits := map[topicPartition]bounds{}
	for topic, lane := range l.lanes {
		offsets, err := l.admin.FetchOffsetsForTopics(ctx, l.config.Topics.ProcessorGroup(lane), topic)
		if errors.Is(err, kerr.GroupIDNotFound) {
			offsets, err = kadm.OffsetResponses{}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read commits of lane %s: %w", lane, err)
		}
		for partition := range int32(l.counts[topic]) {
			commits[topicPartition{topic, partition}] = bounds{committed: -1}
		}
		for _, o := range offsets[topic] {
			if o.Err == nil && o.At >= 0 {
				ours := fold.ParseCommit(o.At, o.Metadata).Own > 0
				commits[topicPartition{topic, o.Partition}] = bounds{committed: o.At, ours: ours}
			}
		}
	}
	return commits, nil
}

// findDeserted asks for the members of groups that have not passed what is gone.
func (l *logClient) findDeserted(
	ctx context.Context, commits map[topicPartition]bounds, starts map[topicPartition]int64,
) error {
	asked := map[string]bool{}
	for at, b := range commits {
		if b.committed >= starts[at] || starts[at] == 0 {
			continue
		}
		deserted, known := asked[at.topic]
		if !known {
			var err error
			if deserted, err = kafka.Deserted(ctx, l.admin, l.config.Topics.ProcessorGroup(l.lanes[at.topic])); err != nil {
				return fmt.Errorf("look for members of lane %s: %w", l.lanes[at.topic], err)
			}
			asked[at.topic] = deserted
		}
		b.deserted = deserted
		commits[at] = b
	}
	return nil
}

// marks are what the owners of shards say of themselves: the places in the journal
// of the last two marks of each that holds nothing.
type marks struct {
	mu   sync.Mutex
	idle map[string]idle // by shard
}

// idle are the places of two marks that follow each other; -1 for none.
type idle struct{ before, last int64 }

func newMarks() *marks { return &marks{idle: map[string]idle{}} }

// take notes a mark, or another sign, that counts.
func (m *marks) take(kind schemas.Kind, shard string, value []byte, offset int64) {
	var sign schemas.Sign
	busy := kind != schemas.KindMark || json.Unmarshal(value, &sign) != nil || sign.Lag > 0 || sign.Running > 0
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.idle) >= maxCached {
		clear(m.idle)
	}
	known, ok := m.idle[shard]
	switch {
	case busy:
		delete(m.idle, shard)
	case ok:
		m.idle[shard] = idle{before: known.last, last: offset}
	default:
		m.idle[shard] = idle{before: -1, last: offset}
	}
}

// idleSince reports whether the shard's owner has said twice, at or behind a place
// of the journal and as the last it said, that it holds nothing.
func (m *marks) idleSince(shard fold.ShardID, offset int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.idle[shard.String()]
	return ok && known.before >= offset
}

const (
	// silentAfter is for views that are given no [Config.SilentAfter].
	silentAfter = 15 * time.Second
	// oldSign is how old a sign may be by this process's clock and still be one of life: what
	// is read of the past is none.
	oldSign = 10 * time.Minute
	// maxWorkers bounds what is remembered of a lane.
	maxWorkers = 10_000
)

// presence is which workers have said of late that they own shards of a lane.
type presence struct {
	silentAfter time.Duration

	mu    sync.Mutex
	since time.Time                       // from when on signs are read as they come, as far as is known
	seen  map[string]map[string]time.Time // by lane and worker, when it was read here
}

func newPresence(c Config) *presence {
	return &presence{silentAfter: cmp.Or(c.SilentAfter, silentAfter), seen: map[string]map[string]time.Time{}}
}

// caughtUp says that signs are read as they come from now on.
func (p *presence) caughtUp(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = now
}

// silenced says that nothing can be read: that no sign comes says nothing of the workers.
func (p *presence) silenced(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.since.IsZero() {
		p.since = now
	}
}

// note takes a sign of a worker that the broker took at a time.
func (p *presence) note(lane, worker string, at, now time.Time) {
	if now.Sub(at) > oldSign {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	workers := p.seen[lane]
	if workers == nil {
		workers = map[string]time.Time{}
		p.seen[lane] = workers
	}
	if _, known := workers[worker]; known || len(workers) < maxWorkers {
		workers[worker] = now
	}
}

// count is how many workers are there; known is false until every one that is there must
// have given a sign.
func (p *presence) count(lane string, now time.Time) (workers int, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for worker, at := range p.seen[lane] {
		if now.Sub(at) > p.silentAfter {
			delete(p.seen[lane], worker)
		}
	}
	workers = len(p.seen[lane])
	return workers, workers > 0 || !p.since.IsZero() && now.Sub(p.since) > p.silentAfter
}
