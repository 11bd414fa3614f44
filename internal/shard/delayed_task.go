package shard

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
	"unique"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/heap"
	"github.com/aiecs/tasklane/schemas"
)

// Wait is why a task waits in tasks.scheduled and until when, with what
// happened to it before: the tl-waiting header of its record there.
type Wait struct {
	// For is one of schemas.Waiting's reasons.
	For string `json:"for"`
	// Until is nil for a task that waits to be told.
	Until *schemas.Time `json:"until,omitzero"`
	// Hold is what the task waits for the end of, Reason, By and Name what its user is told of
	// that; see [Postponement].
	Hold   string `json:"hold,omitzero"`
	Reason string `json:"reason,omitzero"`
	By     string `json:"by,omitzero"`
	Name   string `json:"name,omitzero"`
	// Mode, Service and TaskName are the task's if it waits for the end of a hold: another hold of one of them may take
	// that one's place.
	Mode     string `json:"mode,omitzero"`
	Service  string `json:"service,omitzero"`
	TaskName string `json:"task,omitzero"`
	// Expires is the task's expires_at: it ends then, though its time is later.
	Expires *schemas.Time `json:"expires,omitzero"`
	// Offset is the task's record on the lane, From the waiting record that this
	// one takes the place of ("epoch-seq"); "" for the lane's own.
	Offset int64  `json:"offset"`
	From   string `json:"from,omitzero"`
	// Created is when the broker took the lane record.
	Created schemas.Time `json:"created"`
	// Key is the lane record's, for a dead letter; left out where it is the
	// task's user_id, as it mostly is, or too long to be carried along.
	Key []byte `json:"key,omitzero"`

	Attempts int `json:"attempts,omitzero"`
	Started  int `json:"started,omitzero"`
	Failed   int `json:"failed,omitzero"`
	Handed   int `json:"handed,omitzero"`

	Checkpoints map[string]jsontext.Value `json:"checkpoints,omitzero"`
	// Used is what models were asked for so far, Streamed whether readers have output of an attempt.
	Used     *schemas.Usage `json:"used,omitzero"`
	Streamed bool           `json:"streamed,omitzero"`
	// History is what became of the last attempts, at most 4 KiB of it.
	History []Attempt `json:"history,omitzero"`

	from fold.State
}

// Encode is the header's value. Nothing in it can fail to be written but a
// time beyond the year 9999.
func (w *Wait) Encode() ([]byte, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode waiting: %w", err)
	}
	return b, nil
}

// MaxWaitKeyBytes is the longest lane key that a waiting record carries along.
const MaxWaitKeyBytes = 1 << 10

// WithKey is the wait of a lane record with such a key.
func (w *Wait) WithKey(key []byte, userID string) *Wait {
	with := *w
	if with.Key = nil; string(key) != userID && len(key) <= MaxWaitKeyBytes {
		with.Key = key
	}
	return &with
}

// DecodeWait reads what Encode writes.
func DecodeWait(b []byte) (*Wait, error) {
	w := new(Wait)
	if err := json.Unmarshal(b, w); err != nil {
		return nil, fmt.Errorf("decode waiting: %w", err)
	}
	var ok bool
	if w.from, ok = fold.ParseStateID(w.From); !ok {
		return nil, fmt.Errorf("decode waiting: from %.80q is no epoch-seq", w.From)
	}
	if w.Created.IsZero() || w.Offset < 0 {
		return nil, fmt.Errorf("decode waiting: offset %d, created %v: both must be those of a lane record", w.Offset,
			w.Created)
	}
	for _, n := range []int{w.Attempts, w.Started, w.Failed, w.Handed} {
		if n < 0 || n > math.MaxUint16 {
			return nil, fmt.Errorf("decode waiting: %d is no number of attempts", n)
		}
	}
	return w, nil
}

// waitKey is the key of the record of a task that waits.
func waitKey(lane string, t *schemas.Task, at fold.State) []byte {
	return fold.WaitKey{Lane: lane, UserID: t.UserID, TaskID: t.TaskID, At: at}.Encode()
}

// readWaitKey is whose record a key names; false for a fence's, or a foreign one.
func readWaitKey(key []byte) (identity fold.Identity, at fold.State, ok bool) {
	k, ok := fold.ParseWaitKey(key)
	if !ok {
		return identity, at, false
	}
	return fold.IdentityOf(k.UserID, k.TaskID), k.At, true
}

// delayedTask is a waiting record that counts. A million of them may be held, so
// the task itself is with the port, which may keep it on disk.
type delayedTask struct {
	stamp    fold.State
	from     fold.State // the waiting record it took the place of; zero for the lane's
	offset   int64      // of the task's record on the lane
	logged   int64      // of its own record in the waiting log
	due      int64      // Unix ms, when it goes to the run queue; never for one that waits to be told
	identity fold.Identity
	base     waitBase
	payload  any // the port's
	why      unique.Handle[waitReason]
	targets  *taskTargets // nil for one that no hold concerns
	created  int64        // Unix ms, when the broker took the lane record
	job      *Job         // while it is to run, runs or is being ended
	settled  bool         // what it took the place of is known to be finished
	expires  bool         // due is when it expires, before its time has come
	// cancelled says that it goes to the run queue, which ends it, once it is settled.
	cancelled bool
	// untold says that it was let out of a cap's hold only to be told what else holds it.
	untold bool
	at     int          // place among the scheduled
	ageAt  int          // place among those that wait for the same
	next   *delayedTask // of the same identity
}

// waitReason is what many tasks wait for; it is in memory once.
type waitReason struct{ For, Hold, Reason, By, Name string }

// waitBase is a past in small.
type waitBase struct{ attempts, started, failed, handed uint16 }

func (w *delayedTask) past() attemptHistory {
	b := w.base
	return attemptHistory{attempts: int(b.attempts), running: int(b.started), failed: int(b.failed),
		handed: int(b.handed)}
}

// never is later than any time.
const never = int64(1) << 62

// notBefore is when its job may begin, the zero time for one that waits to be
// told. What expires first never may: the run queue ends it.
func (w *delayedTask) notBefore() time.Time {
	switch {
	case w.expires:
		return time.UnixMilli(never)
	case w.due == never:
		return time.Time{}
	}
	return time.UnixMilli(w.due)
}

func newDelayedTask(stamp fold.State, identity fold.Identity, w *Wait, payload any) *delayedTask {
	due := never
	if w.Until != nil {
		due = w.Until.UnixMilli()
	}
	expires := w.Expires != nil && w.Expires.UnixMilli() < due
	if expires {
		due = w.Expires.UnixMilli()
	}
	made := &delayedTask{
		stamp: stamp, from: w.from, offset: w.Offset, due: due, expires: expires, identity: identity, payload: payload,
		base:    waitBase{uint16(w.Attempts), uint16(w.Started), uint16(w.Failed), uint16(w.Handed)},
		why:     unique.Make(waitReason{w.For, w.Hold, w.Reason, w.By, w.Name}),
		created: w.Created.UnixMilli(),
	}
	return made
}

// hold is what it waits for the end of, "" if for nothing but its time.
func (w *delayedTask) hold() string { return w.why.Value().Hold }

// lift says that what it waited for has ended. It is not scheduled.
func (w *delayedTask) lift(now time.Time) {
	w.why, w.targets = unique.Make(waitReason{For: w.why.Value().For}), nil
	w.due, w.expires = now.UnixMilli(), false
}

// Before implements [heap.Node]: tasks are scheduled by their time, those of the same by
// their stamp.
func (w *delayedTask) Before(v *delayedTask) bool {
	if w.due != v.due {
		return w.due < v.due
	}
	return w.stamp.Compare(v.stamp) < 0
}

// Place implements [heap.Node].
func (w *delayedTask) Place() *int { return &w.at }

// byAge is a delayed task among those that wait for the same, the oldest first.
type byAge struct{ *delayedTask }

// Before implements [heap.Node].
func (a byAge) Before(b byAge) bool { return a.created < b.created }

// Place implements [heap.Node].
func (a byAge) Place() *int { return &a.ageAt }

// delayedTasks are the waiting records that count: all by identity, and the scheduled
// ones by when they are due.
type delayedTasks struct {
	byIdentity map[fold.Identity]*delayedTask
	scheduled  heap.Heap[*delayedTask]
	count      int
	// capped are the resting ones of each hold of a cap, with some that are not any more.
	capped map[string][]*delayedTask
	// untold are those of them that something else holds too, in the lane's order, with some that it does not any more.
	untold []*delayedTask
	// ages are the resting ones by what they wait for (schemas.WaitTime and the like).
	ages map[string]*heap.Heap[byAge]
}

func newDelayedTasks() delayedTasks {
	return delayedTasks{byIdentity: map[fold.Identity]*delayedTask{}, ages: map[string]*heap.Heap[byAge]{}}
}

func (ws *delayedTasks) add(w *delayedTask) {
	w.next = ws.byIdentity[w.identity]
	ws.byIdentity[w.identity] = w
	ws.count++
}

// all are the delayed tasks, in no order.
func (ws *delayedTasks) all() []*delayedTask {
	all := make([]*delayedTask, 0, ws.count)
	for _, w := range ws.byIdentity {
		for ; w != nil; w = w.next {
			all = append(all, w)
		}
	}
	return all
}

// find is the task of a record, nil if it does not count.
func (ws *delayedTasks) find(identity fold.Identity, stamp fold.State) *delayedTask {
	w := ws.byIdentity[identity]
	for w != nil && w.stamp != stamp {
		w = w.next
	}
	return w
}

func (ws *delayedTasks) remove(w *delayedTask) {
	ws.unschedule(w)
	first := ws.byIdentity[w.identity]
	if first == w {
		if w.next == nil {
			delete(ws.byIdentity, w.identity)
		} else {
			ws.byIdentity[w.identity] = w.next
		}
		ws.count--
		return
	}
	for first != nil && first.next != w {
		first = first.next
	}
	if first != nil {
		first.next = w.next
		ws.count--
	}
}

// schedule lets a task wait for its time.
func (ws *delayedTasks) schedule(w *delayedTask) {
	if ws.scheduled.Holds(w) {
		return
	}
	ws.scheduled.Push(w)
	ages := ws.ages[w.why.Value().For]
	if ages == nil {
		ages = new(heap.Heap[byAge])
		ws.ages[w.why.Value().For] = ages
	}
	ages.Push(byAge{w})
	if hold := w.hold(); isCap(hold) {
		if ws.capped == nil {
			ws.capped = map[string][]*delayedTask{}
		}
		ws.capped[hold] = append(ws.capped[hold], w)
	}
}

// lift lets the resting ones go on that wait for the end of what does not hold them.
// The number is how many.
func (ws *delayedTasks) lift(now time.Time, held func(*delayedTask) bool) (lifted int) {
	for _, w := range ws.scheduled.All() {
		if w.hold() != "" && !held(w) {
			w.lift(now)
			lifted++
		}
	}
	if lifted > 0 {
		ws.scheduled.Init()
	}
	return lifted
}

// listUntold looks anew for the resting ones of caps that something else holds.
func (ws *delayedTasks) listUntold(held func(*delayedTask) bool) {
	ws.untold = nil
	for _, all := range ws.capped {
		for _, w := range all {
			if ws.scheduled.Holds(w) && held(w) {
				ws.untold = append(ws.untold, w)
			}
		}
	}
	slices.SortFunc(ws.untold, inLaneOrder)
}

func inLaneOrder(a, b *delayedTask) int { return cmp.Compare(a.offset, b.offset) }

// unschedule ends that.
func (ws *delayedTasks) unschedule(w *delayedTask) {
	if ws.scheduled.Holds(w) {
		ws.scheduled.Remove(w)
		ws.ages[w.why.Value().For].Remove(byAge{w})
	}
}

// WaitStats are the tasks that wait for one thing.
type WaitStats struct {
	Count int
	// Oldest is when the broker took the first of them.
	Oldest time.Time
}

// Waiting are the tasks that wait in the waiting log, by what for: schemas.WaitTime and the
// like. It is cheap.
func (s *Shard) Waiting() map[string]WaitStats {
	all := map[string]WaitStats{}
	for reason, ages := range s.jobs.waits.tasks.ages {
		if ages.Len() > 0 {
			all[reason] = WaitStats{ages.Len(), time.UnixMilli(ages.Top().created)}
		}
	}
	return all
}

// dueBy is the scheduled task that is due next, nil if none is by then.
func (ws *delayedTasks) dueBy(ms int64) *delayedTask {
	if ws.scheduled.Len() == 0 || ws.scheduled.Top().due > ms {
		return nil
	}
	return ws.scheduled.Top()
}
