package journal

import (
	"container/heap"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unique"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Wait is why a task waits in tasks.scheduled and until when, with what
// happened to it before: the tl-waiting header of its record there.
type Wait struct {
	// For is one of schemas.Waiting's reasons.
	For string `json:"for"`
	// Until is nil for a task that waits to be told.
	Until *schemas.Time `json:"until,omitzero"`
	// Hold is what the task waits for the end of; see [Postponement].
	Hold string `json:"hold,omitzero"`
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
	// History is what became of the last attempts, at most 4 KiB of it.
	History []episode `json:"history,omitzero"`

	from State
}

// encode is the header's value. Nothing in it can fail to be written but a
// time beyond the year 9999.
func (w *Wait) encode() ([]byte, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode waiting: %w", err)
	}
	return b, nil
}

// maxWaitKeyBytes is the longest lane key that a waiting record carries along.
const maxWaitKeyBytes = 1 << 10

// withKey is the wait of a lane record with such a key.
func (w *Wait) withKey(key []byte, userID string) *Wait {
	with := *w
	if with.Key = nil; string(key) != userID && len(key) <= maxWaitKeyBytes {
		with.Key = key
	}
	return &with
}

func decodeWait(b []byte) (*Wait, error) {
	w := new(Wait)
	if err := json.Unmarshal(b, w); err != nil {
		return nil, fmt.Errorf("decode waiting: %w", err)
	}
	var ok bool
	if w.from, ok = parseWaitID(w.From); !ok {
		return nil, fmt.Errorf("decode waiting: from %.80q is no epoch-seq", w.From)
	}
	if w.Created.IsZero() || w.Offset < 0 {
		return nil, fmt.Errorf("decode waiting: offset %d, created %v: both must be those of a lane record", w.Offset, w.Created)
	}
	for _, n := range []int{w.Attempts, w.Started, w.Failed, w.Handed} {
		if n < 0 || n > math.MaxUint16 {
			return nil, fmt.Errorf("decode waiting: %d is no number of attempts", n)
		}
	}
	return w, nil
}

// waitID is how a waiting record is named: the epoch and seq it was written
// with. The zero State, no waiting record, is "".
func (s State) waitID() string {
	if s == (State{}) {
		return ""
	}
	return strconv.FormatInt(s.Epoch, 10) + "-" + strconv.FormatInt(s.Seq, 10)
}

func parseWaitID(text string) (State, bool) {
	if text == "" {
		return State{}, true
	}
	epoch, seq, _ := strings.Cut(text, "-")
	e, ok := parseDecimal([]byte(epoch))
	n, ok2 := parseDecimal([]byte(seq))
	return State{Epoch: e, Seq: n}, ok && ok2
}

// waitKey is the key of a waiting record: lane/user/task/epoch-seq, the names
// escaped as in a URL's path. The seq is part of it because an owner that was
// superseded may write about a task once more: with the epoch alone its record
// would take the place of the one that counts at the next compaction.
func waitKey(lane string, t *schemas.Task, at State) []byte {
	return []byte(lane + "/" + url.PathEscape(t.UserID) + "/" + url.PathEscape(t.TaskID) + "/" + at.waitID())
}

// waitFenceKey has no user, which no task is without. Every fence is kept: what
// a superseded owner wrote after it must not count for a reader from the start.
func waitFenceKey(lane string, at State) []byte {
	return []byte(lane + "///" + at.waitID())
}

// readWaitKey is whose record a key names; false for a fence's, or a foreign one.
func readWaitKey(key []byte) (identity Identity, at State, ok bool) {
	user, task, at, ok := splitWaitKey(key)
	if !ok {
		return identity, at, false
	}
	return IdentityOf(user, task), at, true
}

// splitWaitKey is the same with the names themselves.
func splitWaitKey(key []byte) (user, task string, at State, ok bool) {
	parts := strings.Split(string(key), "/")
	if len(parts) != 4 || parts[1] == "" {
		return "", "", at, false
	}
	user, err := url.PathUnescape(parts[1])
	task, err2 := url.PathUnescape(parts[2])
	at, ok = parseWaitID(parts[3])
	return user, task, at, err == nil && err2 == nil && ok && at != (State{})
}

// waiter is a waiting record that counts. A million of them may be held, so
// the task itself is with the port, which may keep it on disk.
type waiter struct {
	stamp    State
	from     State // the waiting record it took the place of; zero for the lane's
	offset   int64 // of the task's record on the lane
	due      int64 // Unix ms, when it goes to the run queue; never for one that waits to be told
	identity Identity
	base     waitBase
	payload  any                   // the port's
	hold     unique.Handle[string] // what it waits for the end of; the zero one is nothing
	job      *Job                  // while it is to run, runs or is being ended
	settled  bool                  // what it took the place of is known to be finished
	expires  bool                  // due is when it expires, before its time has come
	at       int32
	next     *waiter // of the same identity
}

// waitBase is a past in small.
type waitBase struct{ attempts, started, failed, handed uint16 }

func (w *waiter) past() past {
	b := w.base
	return past{identity: w.identity, attempts: int(b.attempts), running: int(b.started), failed: int(b.failed), handed: int(b.handed)}
}

// never is later than any time.
const never = int64(1) << 62

// notBefore is when its job may begin, the zero time for one that waits to be
// told. What expires first never may: the run queue ends it.
func (w *waiter) notBefore() time.Time {
	switch {
	case w.expires:
		return time.UnixMilli(never)
	case w.due == never:
		return time.Time{}
	}
	return time.UnixMilli(w.due)
}

func newWaiter(stamp State, identity Identity, w *Wait, payload any) *waiter {
	due := never
	if w.Until != nil {
		due = w.Until.UnixMilli()
	}
	expires := w.Expires != nil && w.Expires.UnixMilli() < due
	if expires {
		due = w.Expires.UnixMilli()
	}
	made := &waiter{
		stamp: stamp, from: w.from, offset: w.Offset, due: due, expires: expires, identity: identity, payload: payload, at: -1,
		base: waitBase{uint16(w.Attempts), uint16(w.Started), uint16(w.Failed), uint16(w.Handed)},
	}
	if w.Hold != "" {
		made.hold = unique.Make(w.Hold)
	}
	return made
}

// held reports whether it waits for the end of something.
func (w *waiter) held() bool { return w.hold != unique.Handle[string]{} }

// lift says that what it waited for has ended.
func (w *waiter) lift(now time.Time) {
	w.hold, w.due, w.expires = unique.Handle[string]{}, now.UnixMilli(), false
}

// waiters are the waiting records that count: all by identity, and the resting
// ones by when they are due.
type waiters struct {
	byIdentity map[Identity]*waiter
	resting    waitHeap
	count      int
}

func (ws *waiters) add(w *waiter) {
	w.next = ws.byIdentity[w.identity]
	ws.byIdentity[w.identity] = w
	ws.count++
}

// all are the waiters, in no order.
func (ws *waiters) all() []*waiter {
	all := make([]*waiter, 0, ws.count)
	for _, w := range ws.byIdentity {
		for ; w != nil; w = w.next {
			all = append(all, w)
		}
	}
	return all
}

// find is the waiter of a record, nil if it does not count.
func (ws *waiters) find(identity Identity, stamp State) *waiter {
	w := ws.byIdentity[identity]
	for w != nil && w.stamp != stamp {
		w = w.next
	}
	return w
}

func (ws *waiters) remove(w *waiter) {
	ws.disturb(w)
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

// rest lets a waiter wait for its time.
func (ws *waiters) rest(w *waiter) {
	if w.at < 0 {
		heap.Push(&ws.resting, w)
	}
}

// lift lets the resting ones go on that wait for the end of what does not hold.
// The number is how many.
func (ws *waiters) lift(now time.Time, holds func(string) bool) (lifted int) {
	known := map[unique.Handle[string]]bool{}
	for _, w := range ws.resting {
		if !w.held() {
			continue
		}
		stays, asked := known[w.hold]
		if !asked {
			stays = holds(w.hold.Value())
			known[w.hold] = stays
		}
		if !stays {
			w.lift(now)
			lifted++
		}
	}
	if lifted > 0 {
		heap.Init(&ws.resting)
	}
	return lifted
}

// disturb ends a waiter's rest.
func (ws *waiters) disturb(w *waiter) {
	if w.at >= 0 {
		heap.Remove(&ws.resting, int(w.at))
	}
}

// dueBy is the resting waiter that is due next, nil if none is by then.
func (ws *waiters) dueBy(ms int64) *waiter {
	if len(ws.resting) == 0 || ws.resting[0].due > ms {
		return nil
	}
	return ws.resting[0]
}

// waitHeap orders waiters by their time, those of the same by their stamp.
type waitHeap []*waiter

func (h waitHeap) Len() int { return len(h) }
func (h waitHeap) Less(i, j int) bool {
	if h[i].due != h[j].due {
		return h[i].due < h[j].due
	}
	return h[i].stamp.compare(h[j].stamp) < 0
}
func (h waitHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = int32(i), int32(j)
}

// Push implements [heap.Interface].
func (h *waitHeap) Push(x any) {
	w := x.(*waiter)
	w.at = int32(len(*h))
	*h = append(*h, w)
}

// Pop implements [heap.Interface].
func (h *waitHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.at = -1
	return w
}
