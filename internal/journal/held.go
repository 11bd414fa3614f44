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
	// Forget tells that a shard was given up: its queued jobs are of no use any
	// more. It is called without the lock.
	Forget(h *Held)
	// Duplicate tells that the job's end as a duplicate of another has counted.
	Duplicate(j *Job)
	// Doomed reports whether Offer would end the task at once.
	Doomed(id Identity) bool
	// Holds reports whether what a task was postponed for ([Postponement.Hold])
	// still holds. Whoever knows that it has ended calls [Held.Unhold].
	Holds(hold string) bool
}

// Delivery is what a [Job]'s Payload holds while a consumer has it: the lane
// record, and the bound on reports that have not counted.
type Delivery struct {
	record *kgo.Record
	// created is when the broker took the lane record.
	created time.Time
	// reports holds a value for every report that has not counted; nil before
	// the first. The field is guarded by the shard's lock.
	reports chan struct{}
	// started is when the work began here; guarded by the shard's lock.
	started time.Time
	// Work is the runner's own. It is guarded by the shard's lock, under which
	// the runner's methods are called.
	Work any
}

// maxReports bounds a job's progress and output records that have not counted
// yet. A handler that reports faster than the journal takes it waits.
const maxReports = 64

// Created is when the broker took the job's record.
func (d *Delivery) Created() time.Time { return d.created }

// Header is a header of the job's record, "" if there is none.
func (d *Delivery) Header(key string) string {
	return string(headerOf(d.record, key))
}

// Held is a shard that this process holds: the state machine, its lock and its
// connection to Kafka.
type Held struct {
	id       ShardID
	name     string
	consumer *Consumer

	// The fields below are guarded by mu.
	mu    sync.Mutex
	shard *Shard
	// follow is where the reader has to go in the journal, followWaits in the
	// waiting log; -1 when it is there.
	follow      int64
	followWaits int64
	shelf       shelf
	paused      bool
	draining    bool
	ears        ears
	quiet       chan struct{} // closed once the shard is quiet, if anybody waits
}

func newHeld(c *Consumer, partition int32) *Held {
	h := &Held{id: ShardID{Lane: c.config.Lane, Partition: partition}, consumer: c, follow: -1, followWaits: -1, shelf: shelf{dir: c.config.Dir}}
	h.name = h.id.String()
	h.shard = New(Config{
		Shard: h.id, Topic: c.config.Topics.Lane(c.config.Lane), Worker: c.config.Worker,
		Window: c.config.Window, MarkInterval: c.config.MarkInterval, ShortWait: c.config.ShortWait,
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
// acknowledged, or [Runner.Stop] if it never will be. The delivery's Work becomes
// work. False if the job cannot begin: it is offered again, or has ended.
func (h *Held) Begin(j *Job, work any) (begun bool) {
	h.do(func(s *Shard) {
		if h.draining {
			return
		}
		d := j.Payload.(*Delivery)
		before := d.Work
		d.Work = work
		if begun = s.Begin(j); !begun {
			d.Work = before
		}
	})
	return begun
}

// Begun is the number of the attempt that runs, which a take-over may change, and
// how many failed before it.
func (h *Held) Begun(j *Job) (attempt, failed int) {
	h.do(func(*Shard) { attempt, failed = j.Attempt, j.past.failed })
	return attempt, failed
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
		filled.Checkpoint = e.Checkpoint
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

// Postpone lets a job wait that runs or was taken out of the run queue. False if
// it has ended already or is not ours any more.
func (h *Held) Postpone(j *Job, p Postponement) (postponed bool) {
	h.do(func(s *Shard) { postponed = s.Postpone(j, p) })
	return postponed
}

// Unhold lets those tasks go on that wait for the end of what holds no longer.
func (h *Held) Unhold() { h.do((*Shard).Unhold) }

// Claims is how many claims of unique tasks the shard keeps.
func (h *Held) Claims() (claims int) {
	h.do(func(s *Shard) { claims = s.Claims() })
	return claims
}

// Find is the job of a task that can be ended, with its delivery's Work, nil if
// this shard has none. One that was waiting has no Work and is not in the run
// queue: end it. While the shard is being taken over it is not sure.
func (h *Held) Find(id Identity) (j *Job, work any, sure bool) {
	h.do(func(s *Shard) {
		if j = s.Find(id); j != nil {
			work = j.Payload.(*Delivery).Work
		}
		sure = s.Running() && !s.waits.torn || s.Forgotten()
	})
	return j, work, sure
}

// Each calls visit, under the shard's lock, for every job that can be ended, with
// its delivery's Work.
func (h *Held) Each(visit func(j *Job, work any)) {
	h.do(func(s *Shard) {
		s.Jobs(func(j *Job) {
			if j.endable() {
				visit(j, j.Payload.(*Delivery).Work)
			}
		})
	})
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

// forget drops the shard.
func (h *Held) forget() {
	h.do(func(s *Shard) {
		s.Forget()
		h.shelf.close()
	})
	h.consumer.config.Runner.Forget(h)
}

// port connects the shard to Kafka. Its methods run under the shard's lock.
type port Held

func (p *port) held() *Held { return (*Held)(p) }

func (p *port) Now() time.Time { return time.Now() }

func (p *port) Load() { p.consumer.spawn(p.held().load) }

func (p *port) Measure() { p.consumer.spawn(p.held().measure) }

func (p *port) Confirm() { p.consumer.spawn(p.held().confirm) }

func (p *port) Follow(from int64) {
	p.follow = from
	p.consumer.reader.turn()
}

func (p *port) FollowWaits(from int64) {
	p.followWaits = from
	p.consumer.reader.turn()
}

func (p *port) AppendWait(r WaitRecord) {
	h, stamp := p.held(), r.Stamp
	p.consumer.config.Appender.appendWait(p.id.Partition, r, func(offset int64, err error) {
		h.do(func(s *Shard) {
			if err != nil {
				s.AppendFailed(stamp, err)
				return
			}
			s.WaitAppended(stamp, offset)
		})
	})
}

func (p *port) Shelve(payload any) any { return p.shelf.put(payload) }

func (p *port) Restore(payload any) (*Job, error) {
	record, err := p.shelf.take(payload)
	if err != nil {
		return nil, err
	}
	user, id, _, _ := splitWaitKey(record.Key)
	record.Key = []byte(user)
	wait, err := decodeWait(headerOf(record, schemas.HeaderWaiting))
	if err == nil && len(wait.Key) > 0 {
		record.Key = wait.Key
	}
	j := newJob(record)
	j.NotBefore = time.Time{}
	if err == nil {
		j.Checkpoints, j.earlier = wait.Checkpoints, lastEpisodes(wait.History, nil)
	}
	if j.Task == nil || j.Identity != IdentityOf(user, id) {
		j.disown(user, id)
	}
	return j, nil
}

// disown makes a job of a record in the waiting log that does not hold the task
// its key names: something else than a processor wrote it. It is refused like any
// other record that is no task, under the name that it goes by there.
func (j *Job) disown(userID, taskID string) {
	j.Task = &schemas.Task{UserID: userID, TaskID: taskID}
	j.Invalid = &schemas.InvalidTaskError{Problem: "the record in tasks.scheduled does not hold the task that its key names", Task: j.Task}
	j.Identity, j.MaxLost = IdentityOf(userID, taskID), maxLostAttempts
}

func (p *port) Discard(payload any) { p.shelf.discard(payload) }

func (p *port) Doomed(id Identity) bool { return p.consumer.config.Runner.Doomed(id) }

func (p *port) Holds(hold string) bool { return p.consumer.config.Runner.Holds(hold) }

func (p *port) Created(j *Job) time.Time { return j.Payload.(*Delivery).created }

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

func (p *port) Duplicate(j *Job) { p.consumer.config.Runner.Duplicate(j) }

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
