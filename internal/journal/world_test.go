package journal

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

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
}

type clockMode uint8

const (
	clockGood   clockMode = iota // rises with every fence
	clockSkewed                  // owner A is far ahead of owner B, both stand still
	clockSame                    // all clocks show the same time for ever
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
	name   string
	lane   []laneTask
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
	flights     []flight
	// orphans are appends that nobody waits for any more. They may still land.
	orphans []landed
	// The same for the waiting log.
	waitFlights []waitFlight
	waitOrphans []waitLanded
	waitsAt     int64
	unreadable  bool // the payloads of waiting tasks are
	loading     bool
	asked       Commit // the commit when it was asked for, and the journal's end
	askedEnd    int64
	askedWaits  int64
	confirming  bool
	contested   bool  // saw a foreign fence and has not been confirmed since
	readAt      int64 // -1: not following
	buries      []*Job
	commit      *Commit
	commitGen   int
}

type world struct {
	*scenario
	left     budget
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
	commit     Commit
	fences     int64
	restarted  bool
	lifted     bool   // what tasks wait for the end of has ended
	buried     []bool // by lane offset
	truth      truth
	gap        bool // the epoch that counts has lost records
	failure    string
}

func newWorld(s *scenario) *world {
	w := &world{scenario: s, left: s.budget, assigned: -1, commit: Commit{Offset: -1}}
	w.buried, w.claimed = make([]bool, len(s.lane)), make([]bool, len(s.lane))
	w.truth = newTruth(len(s.lane))
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
	o.laneNext = max(o.w.commit.Offset, 0)
	o.shard = New(Config{
		Shard: ShardID{Lane: "fast", Partition: 3}, Topic: "tasks.fast", Worker: o.worker,
		Window: o.w.window, MarkInterval: time.Second, ShortWait: 5 * time.Second, Deferring: o.w.deferring, MaxClaims: o.w.maxClaims,
	}, o)
	o.shard.TakeOver()
}

// forget is what revoking and losing the partition do.
func (o *owner) forget() {
	o.shard.Forget()
	o.drop()
}

// drop leaves the shard without a word: all that is in flight has no one waiting.
func (o *owner) drop() {
	o.orphan()
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

// job is the job of a lane offset that can do something: that of the lane, or
// of the waiting record that took its place.
func (o *owner) job(offset int64) *Job {
	var found *Job
	for _, j := range o.shard.jobs() {
		if j.Offset == offset && (found == nil || found.finished) {
			found = j
		}
	}
	return found
}

func (w *world) newJob(offset int64) *Job {
	t := w.lane[offset]
	task := &schemas.Task{TaskID: t.id, UserID: t.user, TaskName: "echo", Mode: "debug", Service: "echo"}
	j := &Job{Offset: offset, Task: task, Bytes: 1, MaxLost: t.maxLost}
	if t.invalid {
		j.Invalid = &schemas.InvalidTaskError{Problem: "it is meant to be", Task: task}
	}
	if t.later {
		j.NotBefore = time.UnixMilli(1 << 40)
	}
	if t.content != "" {
		j.Unique = &Content{Sum: IdentityOf(t.user, t.content), TTL: claimTTL}
	}
	if t.identified() {
		j.Identity = IdentityOf(t.user, t.id)
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
	}
	return time.UnixMilli(1000 + 10*o.w.fences)
}

func (o *owner) Load() {
	o.loading, o.asked, o.askedEnd, o.askedWaits = true, o.w.commit, int64(len(o.w.journal)), o.w.waitsEnd()
}
func (o *owner) Measure()          {} // asked once much time has passed: doMeasure answers unasked
func (o *owner) Confirm()          { o.confirming = true }
func (o *owner) Follow(from int64) { o.readAt = from }

func (o *owner) FollowWaits(from int64) { o.waitsAt = from }
func (o *owner) Shelve(payload any) any { return payload }
func (o *owner) Doomed(Identity) bool   { return false }
func (o *owner) Holds(string) bool      { return !o.w.lifted }

func (o *owner) Created(j *Job) time.Time { return o.w.created(j.Offset) }

func (o *owner) Restore(payload any) (*Job, error) {
	if o.unreadable {
		return nil, timeout()
	}
	return o.w.newJob(payload.(int64)), nil
}
func (o *owner) Discard(any) {}

func (o *owner) AppendWait(r WaitRecord) {
	f := waitFlight{offset: -1, record: waitLanded{WaitEntry: WaitEntry{Stamp: r.Stamp, Key: r.Key}, worker: o.worker, source: -1}}
	if r.Wait != nil {
		b, err := r.Wait.encode()
		if err == nil {
			f.record.Wait, err = decodeWait(b)
		}
		if err != nil {
			o.w.fail("ENCODE: %v", err)
		}
		f.record.source, f.record.Payload = r.Wait.Offset, r.Wait.Offset
	}
	if r.Claim != nil {
		b, err := r.Claim.encode()
		if err == nil {
			f.record.Claim, err = decodeClaim(b)
		}
		if err != nil {
			o.w.fail("ENCODE: %v", err)
		}
		f.record.source = r.Claim.Offset
	}
	o.waitFlights = append(o.waitFlights, f)
}
func (o *owner) Bury(j *Job) { o.buries = append(o.buries, j) }

func (o *owner) Append(r Record) {
	f := flight{offset: -1, record: landed{Entry: Entry{Stamp: r.Stamp}, source: -1, worker: o.worker}}
	var err error
	switch {
	case r.Sign != nil:
		f.record.kind = r.Sign.Kind
		f.record.Value, err = r.Sign.Encode()
		if r.Sign.Kind == schemas.KindFence {
			o.w.fences++
			if o.contested {
				o.w.fail("CONFIRM: %s fences over another owner without having asked the coordinator", o.worker)
			}
		}
	default:
		r.Event.EventID = r.Stamp.EventID()
		f.record.kind, f.record.status, f.record.attempt = r.Event.Kind, r.Event.Status, r.Event.Attempt
		f.record.code, f.record.duplicateOf = r.Event.ErrorCode, r.Event.DuplicateOf
		f.record.source, f.record.report = about(r.Event)
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
	case j.stage != stageQueued || j.finished:
		o.w.fail("OFFER: %s offers task %d in stage %d", o.worker, j.Offset, j.stage)
	case j.convicted():
		o.w.fail("LOST: %s offers task %d, which has lost %d attempts", o.worker, j.Offset, j.past.lost())
	}
}

func (o *owner) Start(j *Job) {
	written := slices.ContainsFunc(o.w.journal, func(r landed) bool {
		return r.worker == o.worker && r.source == j.Offset && r.kind == schemas.KindState && r.status == schemas.Running
	})
	if !written {
		o.w.fail("START: %s works on task %d before its `running` is in the journal", o.worker, j.Offset)
	}
}

func (o *owner) Stop(*Job)    {}
func (o *owner) Settled(*Job) {}

func (o *owner) Duplicate(j *Job) {
	if !j.finished {
		o.w.fail("DUPLICATE: %s tells of task %d before its end has counted", o.worker, j.Offset)
	}
}

func (o *owner) Note(_ slog.Level, what string, _ ...any) {
	switch what {
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
		if fold.step(r.Stamp) {
			counts = "* "
		}
		fmt.Fprintf(&b, "  %3d %s%s\n", i, counts, r)
	}
	for i := range w.waits {
		fmt.Fprintf(&b, "  wait %d %s\n", i, &w.waits[i])
	}
	fmt.Fprintf(&b, "  commit %+v, generation %d, assigned %d\n", w.commit, w.generation, w.assigned)
	for _, o := range w.owners {
		fmt.Fprintf(&b, "  %s up=%v flights=%d orphans=%d loading=%v confirming=%v readAt=%d", o.name(), o.up, len(o.flights), len(o.orphans), o.loading, o.confirming, o.readAt)
		if s := o.shard; s != nil {
			fmt.Fprintf(&b, " phase=%d own=%v fold=%v next=%d fenceAt=%d raisedAt=%d outbox=%d prefix=%d", s.phase, s.own, s.fold, s.next, s.fenceAt, s.raisedAt, s.outbox.len(), s.tracker.prefix)
			for _, j := range s.jobs() {
				fmt.Fprintf(&b, " [task %d wait=%q stage=%d finished=%v past=%+v]", j.Offset, j.Wait.waitID(), j.stage, j.finished, j.past)
			}
			fmt.Fprintf(&b, " waits: own=%v fold=%v next=%d outbox=%d waiters=%d", s.waits.own, s.waits.fold, s.waits.next, len(s.waits.outbox), s.waits.waiters.count)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
