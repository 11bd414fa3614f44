package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/schemas"
)

// Runner does the work of a lane's jobs. Its methods are called under the
// shard's lock: they must not block or call back into the shard.
type Runner interface {
	// Offer queues a job. When there is room for it, the runner calls
	// [Held.Begin].
	Offer(h *Held, j *Job)
	// Start lets a begun job's work start.
	Start(h *Held, j *Job)
	// Stop ends the work of a begun job, started or not: whatever comes of it
	// will not count. The runner frees the job's slot.
	Stop(h *Held, j *Job)
}

// Delivery is what a [Job]'s Payload holds while a consumer has it: the lane
// record, and the bound on reports that have not counted.
type Delivery struct {
	record *kgo.Record
	// reports holds a value for every report that has not counted; nil before
	// the first. The field is guarded by the shard's lock.
	reports chan struct{}
	// started is when the work began here; guarded by the shard's lock.
	started time.Time
	// Work is the runner's own: a cancel function, say. It is guarded by the
	// runner.
	Work any
}

// maxReports bounds a job's progress and output records that have not counted
// yet. A handler that reports faster than the journal takes it waits.
const maxReports = 64

// Created is when the broker took the job's record.
func (d *Delivery) Created() time.Time { return d.record.Timestamp }

// Header is a header of the job's record, "" if there is none.
func (d *Delivery) Header(key string) string {
	for _, h := range d.record.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// Held is a shard that this process holds: the state machine, its lock and its
// connection to Kafka.
type Held struct {
	id       ShardID
	name     string
	consumer *Consumer

	// The fields below are guarded by mu.
	mu       sync.Mutex
	shard    *Shard
	follow   int64 // offset the journal reader has to go to; -1 when it is there
	paused   bool
	draining bool
	ear      ear
	quiet    chan struct{} // closed once the shard is quiet, if anybody waits
}

func newHeld(c *Consumer, partition int32) *Held {
	h := &Held{id: ShardID{Lane: c.config.Lane, Partition: partition}, consumer: c, follow: -1}
	h.name = h.id.String()
	h.shard = New(Config{
		Shard: h.id, Topic: c.config.Topics.Lane(c.config.Lane), Worker: c.config.Worker,
		Window: c.config.Window, MarkInterval: c.config.MarkInterval,
	}, (*port)(h))
	return h
}

// do runs f on the shard under its lock.
func (h *Held) do(f func(*Shard)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h.shard)
	if h.quiet != nil && h.shard.Quiet() {
		close(h.quiet)
		h.quiet = nil
	}
}

// Begin appends `running` for an offered job: [Runner.Start] follows when it is
// acknowledged, or [Runner.Stop] if it never will be. False if the job cannot
// begin: it is offered again, or has ended.
func (h *Held) Begin(j *Job) (begun bool) {
	h.do(func(s *Shard) { begun = !h.draining && s.Begin(j) })
	return begun
}

// Report appends an event of a started job. It waits while too many of the
// job's reports have not counted yet. The error is ctx's, or says that the job
// has ended.
func (h *Held) Report(ctx context.Context, j *Job, e *schemas.Event) error {
	reports := h.reports(j)
	select {
	case reports <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var taken bool
	h.do(func(s *Shard) {
		filled := s.NewEvent(j, e.Kind, schemas.Running)
		filled.Message, filled.Progress, filled.Output, filled.Usage, filled.Log = e.Message, e.Progress, e.Output, e.Usage, e.Log
		taken = s.Report(j, filled)
	})
	if !taken {
		<-reports
		return ErrEnded
	}
	return nil
}

// reports is the bound on a job's reports, made for the first of them: most
// jobs have none.
func (h *Held) reports(j *Job) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := j.Payload.(*Delivery)
	if d.reports == nil {
		d.reports = make(chan struct{}, maxReports)
	}
	return d.reports
}

// release ends the holding in order: nothing new begins, work gets until the
// context ends to finish, what is left is handed over and written down.
func (h *Held) release(drain context.Context, settle time.Duration) {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	h.wait(drain)
	h.do(func(s *Shard) {
		s.Jobs(func(j *Job) {
			if s.HandOver(j) {
				h.consumer.config.Runner.Stop(h, j)
			}
		})
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(drain), settle)
	defer cancel()
	h.wait(ctx)
}

// wait blocks until the shard is quiet or the context ends.
func (h *Held) wait(ctx context.Context) {
	h.mu.Lock()
	if h.shard.Quiet() || h.shard.Forgotten() {
		h.mu.Unlock()
		return
	}
	if h.quiet == nil {
		h.quiet = make(chan struct{})
	}
	quiet := h.quiet
	h.mu.Unlock()
	select {
	case <-quiet:
	case <-ctx.Done():
	}
}

// port connects the shard to Kafka. Its methods run under the shard's lock.
type port Held

func (p *port) held() *Held { return (*Held)(p) }

func (p *port) Now() time.Time { return time.Now() }

func (p *port) Load() { p.consumer.spawn(p.held().load) }

func (p *port) Confirm() { p.consumer.spawn(p.held().confirm) }

func (p *port) Follow(from int64) {
	p.follow = from
	p.consumer.reader.turn()
}

func (p *port) Append(r Record) {
	h, stamp := p.held(), r.Stamp
	p.consumer.config.Appender.append(p.id.Partition, r, func(offset int64, err error) {
		h.do(func(s *Shard) {
			if err != nil {
				s.AppendFailed(stamp, err)
				return
			}
			s.Appended(stamp, offset)
		})
	})
}

func (p *port) Bury(j *Job) {
	h, d := p.held(), j.Payload.(*Delivery)
	p.consumer.config.Appender.bury(d.record, j.obituary(), func() {
		h.do(func(s *Shard) { s.Buried(j) })
	})
}

func (p *port) Offer(j *Job) { p.consumer.config.Runner.Offer(p.held(), j) }
func (p *port) Start(j *Job) {
	j.Payload.(*Delivery).started = time.Now()
	p.consumer.config.Runner.Start(p.held(), j)
}
func (p *port) Stop(j *Job) { p.consumer.config.Runner.Stop(p.held(), j) }

// Settled frees a report. State events take none, so the channel may be empty.
func (p *port) Settled(j *Job) {
	select {
	case <-j.Payload.(*Delivery).reports:
	default:
	}
}

func (p *port) Note(level slog.Level, what string, args ...any) {
	p.consumer.log.Log(context.Background(), level, what, append([]any{"shard", p.name}, args...)...)
}
