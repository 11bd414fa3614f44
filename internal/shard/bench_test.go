package shard

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// wire is a port that lets what is appended land at once, and be read when the
// benchmark says so.
type wire struct {
	Port
	landed  []Entry
	waiting []WaitEntry
	read    int64
}

func (w *wire) Now() time.Time    { return time.UnixMilli(100_000) }
func (w *wire) Load(int32)        {}
func (w *wire) Follow(int64)      {}
func (w *wire) FollowWaits(int64) {}
func (w *wire) Append(r Record) {
	w.landed = append(w.landed, Entry{Offset: w.read + int64(len(w.landed)), Stamp: r.Stamp, Appended: 100_000})
}
func (w *wire) AppendWait(r WaitRecord) {
	w.waiting = append(w.waiting, WaitEntry{Stamp: r.Stamp, Key: r.Key, Appended: 100_000})
}
func (w *wire) TakenOver()                      {}
func (w *wire) Offer(*Job)                      {}
func (w *wire) Start(*Job)                      {}
func (w *wire) Stop(*Job)                       {}
func (w *wire) Settled(*Job)                    {}
func (w *wire) Note(slog.Level, string, ...any) {}

// turn acknowledges what has landed, and lets it be read.
func (w *wire) turn(s *Shard) {
	landed := w.landed
	for _, e := range landed {
		s.Appended(e.Stamp, e.Offset)
	}
	w.read += int64(len(landed))
	w.landed = w.landed[:0]
	s.Follow(landed, w.read)
}

// BenchmarkTask is what a task costs its shard from its receipt until its end has
// counted, with 64 of them on their way.
func BenchmarkTask(b *testing.B) {
	w := new(wire)
	s := New(Config{Shard: fold.ShardID{Lane: "fast", Partition: 3}, Topic: "tasks.fast", Worker: "w", Window: 10_000},
		Port{w, w, w, w})
	s.TakeOver()
	s.Loaded(fold.Commit{Offset: -1}, Logs{})
	s.WaitAppended(w.waiting[0].Stamp, 0)
	s.FollowWaits(w.waiting, 1)
	w.turn(s)
	if !s.Running() {
		b.Fatal("not taken over")
	}
	const many = 64
	jobs, ids := make([]Job, many), make([]fold.Identity, 1<<16)
	for i := range ids {
		ids[i] = fold.IdentityOf("u", fmt.Sprint(i))
	}
	task := &schemas.Task{TaskID: "t", UserID: "u", TaskName: "echo", Mode: "debug", Service: "echo"}
	offset := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		for i := range jobs {
			jobs[i] = Job{Offset: offset, Identity: ids[offset%int64(len(ids))], Task: task,
				Created: time.UnixMilli(100_000), MaxLost: 3}
			offset++
			s.Receive(&jobs[i])
			s.Begin(&jobs[i])
		}
		w.turn(s)
		for i := range jobs {
			s.Conclude(&jobs[i], s.jobs.events.New(&jobs[i], schemas.KindState, schemas.Completed))
		}
		w.turn(s)
		s.CommitPoint()
	}
	if s.jobs.tracker.prefix != offset {
		b.Fatalf("passed %d of %d", s.jobs.tracker.prefix, offset)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(offset), "ns/task")
}
