package shard

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// The world around the real [Shard]: one journal partition, one lane partition,
// two owners that may crash, pause and come back, a producer for each of them
// whose appends come late, twice, in another order or not at all, readers that
// lag, and a coordinator that hands out generations. Time does not pass: what a
// time-out would do is an action, so that every order of things can be tried.

// budget is how often each fault may still happen.
type budget struct {
	rebalance, crash, restart, fail, commits, reports, handOvers, cancels, marks, stalls, rejoins int8
	// retries are short waits after an error, defers go to the waiting log, which
	// is compacted as often as compacts says.
	retries, defers, compacts int8
	// condemns are ends after a dead letter, tears waiting tasks that cannot be
	// read, finds cancels of what may be waiting.
	condemns, tears, finds int8
	// measures are answers that the lane ends here.
	measures int8
	// cuts lose the lane's tail, removes its head, skips set the group's offset.
	cuts, removes, skips int8
	// forges are records, and commits, of somebody who is no owner; setbacks are
	// jumps of the broker's clock.
	forges, setbacks int8
	// lapses are members that the group forgets, without giving the partition to
	// another, and shards that were kept through one and are given up.
	lapses int8
}

type clockMode uint8

const (
	clockGood   clockMode = iota // rises with every fence
	clockSkewed                  // owner A is far ahead of owner B, both stand still
	clockSame                    // all clocks show the same time for ever
	clockAhead                   // owner A is years ahead of the broker
)

// laneTask is one record of the lane.
type laneTask struct {
	user, id string
	invalid  bool // the record cannot be run; without ids nobody can be told
	maxLost  int
	later    bool // not_before is far off
	// content is what it is unique by, "" if it need not be; at is its record's time.
	content string
	at      int64
}

func (t laneTask) identified() bool { return t.user != "" && t.id != "" }

// scenario is what a world starts from. It is shared by all copies of it.
type scenario struct {
	name string
	lane []laneTask
	// late are how many of them, the last, are sent later.
	late   int
	budget budget
	clock  clockMode
	// lenient: the coordinator accepts commits of old generations.
	lenient bool
	// reorder: after a broker's restart appends may land behind newer ones.
	reorder bool
	window  int
	// deferring is how many waiting records may be on their way at once.
	deferring int
	// holds: tasks are postponed until something ends, not for a time.
	holds bool
	// maxClaims is how many claims are kept.
	maxClaims int
	// eager performs what commutes with everything else at once, so that an
	// exhaustive search gets further.
	eager bool
}

// landed is a journal record with what the checks need of it.
type landed struct {
	Entry
	kind     schemas.Kind
	status   schemas.Status
	attempt  int
	source   int64  // lane offset, -1 for fences and marks
	wait     string // the waiting record it is about
	waitFor  string
	deferred bool
	worker   string
	code     schemas.ErrorCode

	duplicateOf string
	report      int  // tells progress reports apart
	fresh       bool // a `running` that starts work, not one that goes on with it
}

// flight is an append on its way.
type flight struct {
	record landed
	offset int64 // where it landed, -1 before
}

// waitLanded is a record of the waiting log.
type waitLanded struct {
	WaitEntry
	worker string
	source int64 // lane offset of a waiting task or a claim's, -1 otherwise
}

// waitFlight is an append to the waiting log on its way.
type waitFlight struct {
	record waitLanded
	offset int64
}

type owner struct {
	w     *world
	index int
	up    bool
	// shard is nil while the owner holds nothing.
	shard       *Shard
	worker      string
	beginning   bool // inside Shard.Begin
	generation  int
	incarnation int
	laneNext    int64
	laneEpoch   int32
	measuring   *Bounds // as they were when asked for
	flights     []flight
	// orphans are appends that nobody waits for any more. They may still land.
	orphans []landed
	// The same for the waiting log.
	waitFlights []waitFlight
	waitOrphans []waitLanded
	waitsAt     int64
	unreadable  bool // the payloads of waiting tasks are
	loading     bool
	asked       fold.Commit // the commit when it was asked for, and the journal's end
	askedEnd    int64
	askedLane   Bounds
	askedEpoch  int32
	askedWaits  int64
	confirming  bool
	contested   bool  // saw a foreign fence and has not been confirmed since
	readAt      int64 // -1: not following
	buries      []*Job
	commit      *fold.Commit
	commitGen   int
}

type world struct {
	*scenario
	left     budget
	log      laneLog
	journal  []landed
	waits    []waitLanded
	waitFold refFold
	// waiting is what the full fold of the waiting log holds.
	waiting []waitLanded
	// claims are those it holds; claimed are the lane records that ever had one.
	claims     []waitLanded
	claimed    []bool
	owners     [2]*owner
	generation int
	assigned   int // owner the coordinator gave the partition to, -1 none
	commit     fold.Commit
	fences     int64
	setBack    bool // the broker's clock shows a time before what counts
	restarted  bool
	lifted     bool   // what tasks wait for the end of has ended
	buried     []bool // by lane offset
	truth      truth
	gap        bool // the epoch that counts has lost records
	failure    string
}

func newWorld(s *scenario) *world {
	w := &world{scenario: s, left: s.budget, assigned: -1, commit: fold.Commit{Offset: -1, LaneEpoch: -1}}
	w.buried, w.claimed = make([]bool, len(s.lane)), make([]bool, len(s.lane))
	w.truth = newTruth(len(s.lane))
	w.log = newLaneLog(len(s.lane), s.late)
	for i := range w.owners {
		w.owners[i] = &owner{w: w, index: i, up: true, readAt: -1, waitsAt: -1}
	}
	return w
}

func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
	}
}

func (o *owner) name() string { return string(rune('A' + o.index)) }

// assign makes the owner hold the partition, as the group's callback does.
func (o *owner) assign() {
	o.incarnation++
	o.worker = o.name() + strconv.Itoa(o.incarnation)
	o.generation = o.w.generation
	o.laneNext, o.laneEpoch = max(o.w.commit.Offset, 0), -1
	o.shard = New(Config{
		Shard: fold.ShardID{Lane: "fast", Partition: 3}, Topic: "tasks.fast", Worker: o.worker,
		Window: o.w.window, MarkInterval: time.Second, ShortWait: 5 * time.Second, Deferring: o.w.deferring,
		MaxClaims: o.w.maxClaims,
	}, Port{o, o, o, o})
	o.setHolds()
	o.shard.TakeOver()
}

// setHolds tells the shard what holds; nothing does once the world's hold was lifted.
func (o *owner) setHolds() {
	if o.w.lifted {
		o.shard.SetHolds(NewHolds(nil))
	}
}

// lose is what losing the partition does: the shard is kept.
func (o *owner) lose() {
	o.shard.Unassign()
	o.dropForgotten()
}

// reassign makes the owner hold the partition again that it has lost and kept.
func (o *owner) reassign() {
	o.generation = o.w.generation
	o.laneNext, o.laneEpoch = max(o.w.commit.Offset, 0), -1
	o.contested, o.confirming = false, false
	o.shard.TakeOver()
}

// dropForgotten lets go of a shard that gave itself up.
func (o *owner) dropForgotten() {
	if o.shard.Forgotten() {
		o.drop()
	}
}

// forget is what revoking the partition does.
func (o *owner) forget() {
	o.shard.Forget()
	o.drop()
}

// drop leaves the shard without a word: all that is in flight has no one waiting.
func (o *owner) drop() {
	o.orphan()
	o.measuring = nil
	o.shard, o.loading, o.confirming, o.contested, o.readAt, o.buries = nil, false, false, false, -1, nil
	o.waitsAt = -1
}

func (o *owner) orphan() {
	for _, f := range o.flights {
		if f.offset < 0 {
			o.orphans = append(o.orphans, f.record)
		}
	}
	o.flights = nil
	for _, f := range o.waitFlights {
		if f.offset < 0 {
			o.waitOrphans = append(o.waitOrphans, f.record)
		}
	}
	o.waitFlights = nil
}

// holds reports whether the coordinator agrees that this owner has the partition.
func (o *owner) holds() bool {
	return o.w.assigned == o.index && o.generation == o.w.generation
}

// job is the job of a lane record that can do something: that of the lane, or
// of the waiting record that took its place.
func (o *owner) job(record int64) *Job {
	var found *Job
	for _, j := range o.shard.jobs.all() {
		if o.w.recordOf(j) == record && (found == nil || found.finished()) {
			found = j
		}
	}
	return found
}

func (w *world) newJob(record int64) *Job {
	t := w.lane[record]
	task := &schemas.Task{TaskID: t.id, UserID: t.user, TaskName: "echo", Mode: "debug", Service: "echo"}
	j := &Job{Offset: w.log.at[record], LaneEpoch: w.log.epoch[record], Created: w.created(record), Task: task,
		Bytes: 1, MaxLost: t.maxLost}
	if t.invalid {
		j.Invalid = &schemas.InvalidTaskError{Problem: "it is meant to be", Task: task}
	}
	if t.later {
		j.NotBefore = time.UnixMilli(1 << 40)
	}
	if t.content != "" {
		j.Unique = &Content{Sum: fold.IdentityOf(t.user, t.content), TTL: claimTTL}
	}
	if t.identified() {
		j.Identity = fold.IdentityOf(t.user, t.id)
	}
	return j
}

// ---- the shard's port

func (o *owner) Now() time.Time {
	switch o.w.clock {
	case clockSkewed:
		return time.UnixMilli(int64(2000 - 1000*o.index))
	case clockSame:
		return time.UnixMilli(1000)
	case clockAhead:
		if o.index == 0 {
			return time.UnixMilli(1<<40 + 10*o.w.fences)
		}
	}
	return time.UnixMilli(1000 + 10*o.w.fences)
}

// brokerNow is the broker's clock, which its records get as append times.
func (w *world) brokerNow() int64 {
	now := 1000 + 10*w.fences
	if w.setBack {
		now -= 2 * fold.Margin.Milliseconds()
	}
	return now
}

func (o *owner) Load(epoch int32) {
	o.askedEpoch = epoch
	o.askedLane = Bounds{o.w.log.start, o.w.log.end}
	o.loading, o.asked, o.askedEnd, o.askedWaits = true, o.w.commit, int64(len(o.w.journal)), o.w.waitsEnd()
}

func (o *owner) Measure() { o.measuring = &Bounds{o.w.log.start, o.w.log.end} }

func (o *owner) Rewind(from int64) { o.laneNext, o.laneEpoch = from, -1 }

func (o *owner) Confirm() { o.confirming = true }

func (o *owner) Follow(from int64) { o.readAt = from }

func (o *owner) FollowWaits(from int64) { o.waitsAt = from }

func (o *owner) Spill(payload any) any { return payload }

func (o *owner) Lighten(any) any { return nil }

func (o *owner) TakenOver() {}

func (o *owner) Restore(payload any) (*Job, error) {
	if o.unreadable {
		return nil, timeout()
	}
	return o.w.newJob(payload.(int64)), nil
}

func (o *owner) Discard(any) {}

func (o *owner) AppendWait(r WaitRecord) {
	f := waitFlight{offset: -1, record: waitLanded{WaitEntry: WaitEntry{Stamp: r.Stamp, Key: r.Key}, worker: o.worker,
		source: -1}}
	if r.Wait != nil {
		b, err := r.Wait.Encode()
		if err == nil {
			f.record.Wait, err = DecodeWait(b)
		}
		if err != nil {
			o.w.fail("ENCODE: %v", err)
		}
		f.record.source = o.w.recordOf(r.Job)
		f.record.Payload = f.record.source
	}
	if r.Claim != nil {
		b, err := r.Claim.Encode()
		if err == nil {
			f.record.Claim, err = DecodeClaim(b)
		}
		if err != nil {
			o.w.fail("ENCODE: %v", err)
		}
		f.record.source = o.w.record(r.Claim.Offset,
			fold.IdentityOf(strings.Split(string(r.Key), "/")[1], r.Claim.TaskID))
	}
	o.waitFlights = append(o.waitFlights, f)
}

func (o *owner) WriteDeadLetter(j *Job, _ DeadLetter) { o.buries = append(o.buries, j) }

func (o *owner) Append(r Record) {
	f := flight{offset: -1, record: landed{Entry: Entry{Stamp: r.Stamp}, source: -1, worker: o.worker}}
	var err error
	switch {
	case r.Sign != nil:
		f.record.kind = r.Sign.Kind
		f.record.Value, err = r.Sign.Encode()
		if r.Sign.Kind == schemas.KindFence {
			o.w.fences++
			if o.shard.jobs.unassigned {
				o.w.fail("UNASSIGNED: %s fences a shard that the group does not give it", o.worker)
			}
			if o.contested {
				o.w.fail("CONFIRM: %s fences over another owner without having asked the coordinator", o.worker)
			}
		}
	default:
		r.Event.EventID = r.Stamp.EventID()
		f.record.kind, f.record.status, f.record.attempt = r.Event.Kind, r.Event.Status, r.Event.Attempt
		f.record.code, f.record.duplicateOf = r.Event.ErrorCode, r.Event.DuplicateOf
		f.record.source, f.record.report = about(r.Event)
		f.record.source = o.w.record(f.record.source, fold.IdentityOf(r.Event.UserID, r.Event.TaskID))
		f.record.deferred = r.Event.Deferred
		if r.Event.Progress != nil {
			f.record.wait = r.Event.Progress.Unit
		}
		if r.Event.Source != nil {
			f.record.wait = r.Event.Source.Wait
		}
		if r.Event.Waiting != nil {
			f.record.waitFor = r.Event.Waiting.For
		}
		f.record.fresh = o.beginning
		if o.beginning && o.shard.jobs.unassigned {
			o.w.fail("UNASSIGNED: %s begins task %d, which another may begin too", o.worker, r.Event.Source.Offset)
		}
		f.record.Value, err = r.Event.Encode()
	}
	if err != nil {
		o.w.fail("ENCODE: %v", err)
	}
	o.flights = append(o.flights, f)
}

// about is the lane offset an event is about, and which report it is: reports
// carry both as their progress.
func about(e *schemas.Event) (source int64, report int) {
	if e.Progress != nil {
		return e.Progress.Current, int(e.Progress.Total)
	}
	return e.Source.Offset, 0
}

func (o *owner) Offer(j *Job) {
	switch {
	case o.shard.jobs.unassigned:
		o.w.fail("UNASSIGNED: %s offers task %d", o.worker, j.Offset)
	case j.stage != stageOffered:
		o.w.fail("OFFER: %s offers task %d in stage %d", o.worker, j.Offset, j.stage)
	case j.lostTooOften():
		o.w.fail("LOST: %s offers task %d, which has lost %d attempts", o.worker, j.Offset, j.history.lost())
	}
}

func (o *owner) Start(j *Job) {
	written := slices.ContainsFunc(o.w.journal, func(r landed) bool {
		return r.worker == o.worker && r.source == o.w.recordOf(j) && r.kind == schemas.KindState &&
			r.status == schemas.Running
	})
	if o.shard.jobs.unassigned {
		o.w.fail("UNASSIGNED: %s starts task %d", o.worker, j.Offset)
	}
	if !written {
		o.w.fail("START: %s works on task %d before its `running` is in the journal", o.worker, j.Offset)
	}
}

func (o *owner) Stop(*Job) {}

func (o *owner) Settled(*Job) {}

func (o *owner) Duplicate(j *Job) {
	if !j.finished() {
		o.w.fail("DUPLICATE: %s tells of task %d before its end has counted", o.worker, j.Offset)
	}
}

func (o *owner) Ahead(_ string, stamp fold.Stamp, _, appended int64) {
	if stamp.Epoch <= appended+fold.Margin.Milliseconds() {
		o.w.fail("AHEAD: %s calls epoch %d, appended at %d, beyond the broker's clock", o.worker, stamp.Epoch, appended)
	}
}

func (o *owner) Note(_ slog.Level, what string, args ...any) {
	switch what {
	case illegalStep:
		o.w.fail("STEP: %s: %s: %v", o.worker, what, args)
	case "shard taken over":
		o.w.checkKnown(o)
	case "foreign fence":
		o.contested = true
	}
}

// ---- printing

func (r *landed) String() string {
	at := fmt.Sprintf("e%d s%d by %s", r.Stamp.Epoch, r.Stamp.Seq, r.worker)
	switch {
	case r.source < 0:
		return fmt.Sprintf("%s(%s)", r.kind, at)
	case r.kind == schemas.KindState:
		return fmt.Sprintf("%s(task %d, attempt %d, %s)", r.status, r.source, r.attempt, at)
	}
	return fmt.Sprintf("%s(task %d, attempt %d, %s)", r.kind, r.source, r.attempt, at)
}

func (r *waitLanded) String() string {
	at := fmt.Sprintf("e%d s%d by %s, %s", r.Stamp.Epoch, r.Stamp.Seq, r.worker, r.Key)
	if r.Claim != nil {
		return fmt.Sprintf("claims(%+v, %s)", *r.Claim, at)
	}
	if r.Wait == nil {
		return "fence or tombstone(" + at + ")"
	}
	return fmt.Sprintf("waits(task %d, %+v, %s)", r.source, *r.Wait, at)
}

func (w *world) dump() string {
	var b bytes.Buffer
	fold := refFold{}
	for i := range w.journal {
		r := &w.journal[i]
		counts := "  "
		if fold.step(r.Stamp, r.Appended) {
			counts = "* "
		}
		fmt.Fprintf(&b, "  %3d %s%s\n", i, counts, r)
	}
	for i := range w.waits {
		fmt.Fprintf(&b, "  wait %d %s\n", i, &w.waits[i])
	}
	fmt.Fprintf(&b, "  commit %+v, generation %d, assigned %d\n", w.commit, w.generation, w.assigned)
	for _, o := range w.owners {
		fmt.Fprintf(&b, "  %s up=%v flights=%d orphans=%d loading=%v confirming=%v readAt=%d", o.name(), o.up,
			len(o.flights), len(o.orphans), o.loading, o.confirming, o.readAt)
		if s := o.shard; s != nil {
			fmt.Fprintf(&b, " phase=%d unassigned=%v own=%v fold=%v next=%d fenceAt=%d raisedAt=%d outbox=%d prefix=%d",
				s.phase, s.jobs.unassigned, s.jobs.journal.own, s.jobs.journal.fold, s.jobs.journal.next, s.jobs.journal.fenceAt,
				s.jobs.journal.raisedAt, s.jobs.journal.outbox.len(), s.jobs.tracker.prefix)
			for _, j := range s.jobs.all() {
				fmt.Fprintf(&b, " [task %d wait=%q stage=%d finished=%v past=%+v]", j.Offset, j.Wait.ID(), j.stage,
					j.finished(), j.history)
			}
			fmt.Fprintf(&b, " waits: own=%v fold=%v next=%d outbox=%d waiters=%d", s.jobs.waits.own, s.jobs.waits.fold,
				s.jobs.waits.next, s.jobs.waits.outbox.len(), s.jobs.waits.tasks.count)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
