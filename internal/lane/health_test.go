package lane

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/shard"
)

// stubPort is a port behind which nothing happens.
type stubPort struct {
	shard.Port
	now     time.Time
	fence   fold.Stamp
	waiting shard.WaitRecord
}

func (p *stubPort) Now() time.Time { return p.now }

func (p *stubPort) Load(int32) {}

func (p *stubPort) Follow(int64) {}

func (p *stubPort) FollowWaits(int64) {}

func (p *stubPort) Append(r shard.Record) { p.fence = r.Stamp }

func (p *stubPort) AppendWait(r shard.WaitRecord) { p.waiting = r }

func (p *stubPort) TakenOver() {}

func (p *stubPort) Note(slog.Level, string, ...any) {}

// A processor with a shard that cannot be taken over is not ready, counts it and says
// so once.
func TestConsumerTellsOfShardsThatCannotBeTakenOver(t *testing.T) {
	p := &stubPort{now: time.UnixMilli(1_000_000)}
	s := shard.New(shard.Config{Shard: fold.ShardID{Lane: "fast", Partition: 3}},
		shard.Port{LogAccess: p, Spills: p, Work: p, Surroundings: p})
	s.TakeOver()
	s.LoadFailed(errors.New("timed out"))
	out := new(strings.Builder)
	c := &Consumer{log: slog.New(slog.NewTextHandler(out, nil))}
	held := map[int32]*OwnedShard{3: {shard: s}}
	c.mind(held, p.now)
	if c.Healthy() != nil || c.Unowned() != 0 || out.Len() > 0 {
		t.Fatalf("told of at once: %v, %s", c.Healthy(), out)
	}
	p.now = p.now.Add(time.Minute)
	for range 3 {
		c.mind(held, p.now)
	}
	var unowned *shard.UnownedError
	if !errors.As(c.Healthy(), &unowned) || unowned.Shard != "fast/3" || c.Unowned() != 1 {
		t.Errorf("healthy: %v, %d unowned", c.Healthy(), c.Unowned())
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), "timed out") {
		t.Errorf("logged %d lines: %s", n, out)
	}
	s.Tick()
	s.Loaded(fold.Commit{Offset: -1}, shard.Logs{})
	at := p.now.UnixMilli()
	s.WaitAppended(p.waiting.Stamp, 0)
	s.FollowWaits([]shard.WaitEntry{{Stamp: p.waiting.Stamp, Key: p.waiting.Key, Appended: at}}, 1)
	s.Appended(p.fence, 0)
	s.Follow([]shard.Entry{{Stamp: p.fence, Appended: at}}, 1)
	c.mind(held, p.now)
	if c.Healthy() != nil || c.Unowned() != 0 {
		t.Errorf("healthy once it is taken over: %v, %d unowned", c.Healthy(), c.Unowned())
	}
}
