package lane

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// OwnedShard is a shard that this process holds: the state machine, its lock and its
// connection to Kafka.
type OwnedShard struct {
	id       fold.ShardID
	name     string
	consumer *Consumer

	// The fields below are guarded by mu.
	mu    sync.Mutex
	shard *shard.Shard
	// follow is where the reader has to go in the journal, followWaits in the
	// waiting log; -1 when it is there.
	follow      int64
	followWaits int64
	// rewind is where the lane has to be read on from, -1 when it is.
	rewind int64
	// loads and measures count what was asked for, so that a late answer is told.
	loads, measures int

	spill    spillStore
	paused   bool
	draining bool
	// expected is until when the group is waited for to assign the shard again; zero
	// while the group does not have this member either.
	expected time.Time
	stall    stallDetector
	// What was sent here by mistake, and when a lane that comes before this one last
	// wrote here; confined to the reader.
	misrouted, waitMisrouted misrouted
	elder                    time.Time
	quiet                    chan struct{} // closed once the shard is quiet, if anybody waits
}

func newOwnedShard(c *Consumer, partition int32, astray bool) *OwnedShard {
	h := &OwnedShard{id: fold.ShardID{Lane: c.config.Lane, Partition: partition}, consumer: c, follow: -1,
		followWaits: -1,
		rewind:      -1, spill: spillStore{dir: c.config.Dir}}
	h.name = h.id.String()
	p := (*port)(h)
	h.shard = shard.New(shard.Config{
		Shard: h.id, Topic: c.config.Topics.Lane(c.config.Lane), Worker: c.config.Worker,
		Window: c.config.Window, MarkInterval: c.config.MarkInterval, ShortWait: c.config.ShortWait,
		YieldUntil: c.yieldUntil(), Session: c.config.SessionTimeout, Astray: astray, Idle: c.config.idle,
	}, shard.Port{LogAccess: p, Spills: p, Work: p, Surroundings: p})
	return h
}

// do runs f on the shard under its lock.
func (h *OwnedShard) do(f func(*shard.Shard)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h.shard)
	if h.quiet != nil && h.shard.Quiet() {
		close(h.quiet)
		h.quiet = nil
	}
}

// Begin appends `running` for an offered job: [Attempt.Start] follows when it is acknowledged,
// or [Attempt.Stop] if it never will be. False if the job cannot begin: it is offered again,
// or has ended.
func (h *OwnedShard) Begin(j *shard.Job, a Attempt) (begun bool) {
	h.do(func(s *shard.Shard) {
		if h.draining {
			return
		}
		d := DeliveryOf(j)
		before := d.attempt
		d.attempt = a
		if begun = s.Begin(j); !begun {
			d.attempt = before
		}
	})
	return begun
}

// Begun is the number of the attempt that runs, which a take-over may change, and
// how many failed before it.
func (h *OwnedShard) Begun(j *shard.Job) (attempt, failed int) {
	h.do(func(*shard.Shard) { attempt, failed = j.Attempt, j.Failed() })
	return attempt, failed
}

// Report appends an event of an attempt. It waits while too many of the job's reports have
// not counted yet. The error is ctx's, or says that the job has ended, or is worked on anew.
func (h *OwnedShard) Report(ctx context.Context, j *shard.Job, a Attempt, e *schemas.Event) error {
	reports := h.reports(j)
	select {
	case reports <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var taken bool
	h.do(func(s *shard.Shard) {
		if DeliveryOf(j).attempt != a {
			return
		}
		filled := s.Events().New(j, e.Kind, schemas.Running)
		filled.Message, filled.Progress, filled.Output, filled.Usage, filled.Log = e.Message, e.Progress, e.Output,
			e.Usage, e.Log
		filled.Checkpoint = e.Checkpoint
		if e.Output != nil && e.Output.Index > 0 {
			filled.Source = nil // that there is output is told by the first piece
		}
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
func (h *OwnedShard) reports(j *shard.Job) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := DeliveryOf(j)
	if d.reports == nil {
		d.reports = make(chan struct{}, maxReports)
	}
	return d.reports
}

// Postpone lets a job wait that runs or was taken out of the run queue. False if
// it has ended already or is not ours any more.
func (h *OwnedShard) Postpone(j *shard.Job, p shard.Postponement) (postponed bool) {
	h.do(func(s *shard.Shard) { postponed = s.Postpone(j, p) })
	return postponed
}

// SetHolds says what holds tasks ([shard.Shard.SetHolds]).
func (h *OwnedShard) SetHolds(inForce *shard.Holds) {
	h.do(func(s *shard.Shard) { s.SetHolds(inForce) })
}

// Readmit lets waiting tasks go on that a cap holds ([shard.Shard.Readmit]).
func (h *OwnedShard) Readmit(room func(hold string) int, bytes int) {
	h.do(func(s *shard.Shard) { s.Readmit(room, bytes) })
}

// Crowd is by how much a shard whose read-ahead is full holds more than half of it in
// jobs that could wait elsewhere, or else with what is finished too, which stays until all
// before it is; nothing if it is not full.
func (h *OwnedShard) Crowd() (records, bytes int) {
	over := func(held func() (int, int)) (int, int) {
		records, bytes := held()
		return max(records-h.consumer.config.ReadAhead/2, 0), max(bytes-h.consumer.config.ReadAheadBytes/2, 0)
	}
	h.do(func(s *shard.Shard) {
		if !h.paused || s.Unassigned() {
			return
		}
		if records, bytes = over(s.Crowd); records == 0 && bytes == 0 {
			records, bytes = over(s.Crowding)
		}
	})
	return records, bytes
}

// Claims is how many claims of unique tasks the shard keeps.
func (h *OwnedShard) Claims() (claims int) {
	h.do(func(s *shard.Shard) { claims = s.Claims() })
	return claims
}

// release ends the holding in order: nothing new begins, work gets until the
// context ends to finish, what is left is handed over and written down. It gives how
// many tasks were worked on, and how many of them were handed over.
func (h *OwnedShard) release(drain context.Context, settle time.Duration) (worked, handed int) {
	h.mu.Lock()
	h.draining = true
	worked = h.shard.Working()
	h.mu.Unlock()
	h.wait(drain)
	h.do(func(s *shard.Shard) {
		s.Jobs(func(j *shard.Job) {
			if s.HandOver(j) {
				handed++
				(*port)(h).Stop(j)
			}
		})
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(drain), settle)
	defer cancel()
	h.wait(ctx)
	return max(worked, handed), handed
}

// wait blocks until the shard is quiet or the context ends.
func (h *OwnedShard) wait(ctx context.Context) {
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

// unassign keeps the shard and its work, and takes what is queued out of the queue.
func (h *OwnedShard) unassign() {
	h.do((*shard.Shard).Unassign)
	h.consumer.config.Runner.Forget(h)
}

// reassign takes over again what was kept; false if nothing is left of it, or the
// journal is another one by its end.
func (h *OwnedShard) reassign(ends kadm.ListedOffsets) (kept bool) {
	end, known := ends.Lookup(h.consumer.config.Topics.Events(), h.id.Partition)
	h.do(func(s *shard.Shard) {
		if !s.Unassigned() {
			kept = !s.Forgotten()
			return
		}
		if kept = !h.draining && (!known || end.Err != nil || s.Within(end.Offset)); kept {
			h.expected, h.paused = time.Time{}, false
			s.TakeOver()
		}
	})
	return kept
}

// expect says until when a shard that is kept may be assigned again.
func (h *OwnedShard) expect(until time.Time) {
	h.do(func(s *shard.Shard) {
		if s.Unassigned() && (until.IsZero() || h.expected.IsZero()) {
			h.expected = until
		}
	})
}

// kept reports whether the shard was kept and somebody else has taken it over, or
// whether the group has not assigned it again in time.
func (h *OwnedShard) kept(now time.Time) (gone, overdue bool) {
	h.do(func(s *shard.Shard) {
		gone = s.Superseded()
		overdue = s.Unassigned() && !h.draining && !h.expected.IsZero() && now.After(h.expected)
		h.draining = h.draining || overdue
	})
	return gone, overdue
}

// forget drops the shard.
func (h *OwnedShard) forget() {
	h.do(func(s *shard.Shard) {
		s.Forget()
		h.spill.close()
	})
	h.consumer.config.Runner.Forget(h)
}

// port connects the shard to Kafka. Its methods run under the shard's lock.
type port OwnedShard

func (p *port) owned() *OwnedShard { return (*OwnedShard)(p) }

func (p *port) Now() time.Time { return time.Now() }

func (p *port) Load(epoch int32) {
	p.loads++
	asked := p.loads
	p.consumer.spawn(func(ctx context.Context) { p.owned().load(ctx, epoch, asked) })
}

func (p *port) Rewind(from int64) {
	p.rewind = from
	p.consumer.lane.turn()
}

func (p *port) Measure() {
	p.measures++
	asked := p.measures
	p.consumer.spawn(func(ctx context.Context) { p.owned().measure(ctx, asked) })
}

func (p *port) Confirm() { p.consumer.spawn(p.owned().confirm) }

func (p *port) Follow(from int64) {
	p.follow = from
	p.consumer.reader.turn()
}

func (p *port) FollowWaits(from int64) {
	p.followWaits = from
	p.consumer.reader.turn()
}

func (p *port) AppendWait(r shard.WaitRecord) {
	h, stamp := p.owned(), r.Stamp
	p.consumer.config.Appender.appendWait(p.id.Partition, r, func(offset int64, err error) {
		h.do(func(s *shard.Shard) {
			if err != nil {
				s.AppendFailed(stamp, err)
				return
			}
			s.WaitAppended(stamp, offset)
		})
	})
}

func (p *port) Spill(payload any) any { return p.spill.put(payload) }

func (p *port) Restore(payload any) (*shard.Job, error) {
	record, err := p.spill.take(payload)
	if err != nil {
		return nil, err
	}
	named, _ := fold.ParseWaitKey(record.Key)
	record.Key = []byte(named.UserID)
	wait, err := shard.DecodeWait(headerOf(record, schemas.HeaderWaiting))
	if err == nil && len(wait.Key) > 0 {
		record.Key = wait.Key
	}
	j := newJob(record, p.Now())
	j.NotBefore = time.Time{}
	if err == nil {
		j.Checkpoints, j.Earlier, j.Used, j.Streamed = wait.Checkpoints, wait.History, wait.Used, wait.Streamed
	}
	if err == nil && strings.HasPrefix(wait.Hold, shard.CapHold) {
		DeliveryOf(j).capped = true
	}
	if j.Task == nil || j.Identity != fold.IdentityOf(named.UserID, named.TaskID) {
		disown(j, named.UserID, named.TaskID)
	}
	return j, nil
}

// disown makes a job of a record in the waiting log that does not hold the task
// its key names: something else than a processor wrote it. It is refused like any
// other record that is no task, under the name that it goes by there.
func disown(j *shard.Job, userID, taskID string) {
	j.Task = &schemas.Task{UserID: userID, TaskID: taskID}
	j.Invalid = &schemas.InvalidTaskError{Problem: "the record in tasks.scheduled does not hold the task that its " +
		"key names", Task: j.Task}
	j.Identity, j.MaxLost = fold.IdentityOf(userID, taskID), maxLostAttempts
}

func (p *port) Discard(payload any) { p.spill.discard(payload) }

// Lighten keeps where the job's record stands.
func (p *port) Lighten(payload any) any {
	d := payload.(*Delivery)
	return &Delivery{received: d.received, record: &kgo.Record{Topic: d.record.Topic, Partition: d.record.Partition,
		Offset: d.record.Offset}}
}

func (p *port) Append(r shard.Record) {
	h, stamp := p.owned(), r.Stamp
	p.consumer.config.Appender.append(p.id.Partition, r, func(offset int64, err error) {
		h.do(func(s *shard.Shard) {
			if err != nil {
				s.AppendFailed(stamp, err)
				return
			}
			s.Appended(stamp, offset)
		})
	})
}

func (p *port) WriteDeadLetter(j *shard.Job, why shard.DeadLetter) {
	h, d := p.owned(), DeliveryOf(j)
	p.consumer.config.Appender.writeDeadLetter(d.record, why, func() {
		h.do(func(s *shard.Shard) {
			p.consumer.config.Runner.DeadLettered(j, why.Reason, why.Text)
			s.DeadLetterWritten(j)
		})
	})
}

func (p *port) Offer(j *shard.Job) {
	d := DeliveryOf(j)
	d.attempt, d.queued = nil, p.consumer.config.Runner.Offer(p.owned(), j)
}

func (p *port) Start(j *shard.Job) { DeliveryOf(j).attempt.Start() }

func (p *port) Stop(j *shard.Job) {
	if d := DeliveryOf(j); d != nil && d.attempt != nil {
		a := d.attempt
		d.attempt = nil
		a.Stop()
	}
}

func (p *port) TakenOver() { p.consumer.config.Runner.TakenOver(p.owned()) }

func (p *port) Duplicate(j *shard.Job) { p.consumer.config.Runner.Duplicate(j) }

// Settled frees a report. State events take none, so the channel may be empty.
func (p *port) Settled(j *shard.Job) {
	d := DeliveryOf(j)
	if d == nil {
		return
	}
	select {
	case <-d.reports:
	default:
	}
}

func (p *port) Ahead(log string, stamp fold.Stamp, offset, appended int64) {
	topic := p.consumer.config.Topics.Events()
	if log == shard.WaitingLog {
		topic = p.consumer.config.Topics.Scheduled()
	}
	p.consumer.aheads.Note(topic, p.id.Partition, offset, stamp, time.UnixMilli(appended))
}

func (p *port) Note(level slog.Level, what string, args ...any) {
	p.consumer.log.Log(context.Background(), level, what, append([]any{"shard", p.name}, args...)...)
}
