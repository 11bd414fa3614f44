package shard

import (
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/heap"
	"github.com/aiecs/tasklane/schemas"
)

// Content is what a task that asks to be unique is compared by, and for how long
// its claim holds.
type Content struct {
	Sum fold.Identity
	TTL time.Duration
}

// ContentOf is nil for a task that need not be unique.
func ContentOf(t *schemas.Task) *Content {
	if t.Unique == nil {
		return nil
	}
	return &Content{Sum: t.ContentSum(), TTL: t.Unique.TTL()}
}

// Claim is the value of a claim's record in tasks.scheduled: the task that holds
// its content, where that stands on the lane, and until when, in Unix milliseconds.
type Claim struct {
	TaskID  string `json:"task_id"`
	Offset  int64  `json:"offset"`
	UntilMS int64  `json:"until_ms"`
}

// claimUntil is when a claim of a task ends whose record has this time. Both
// are the sender's to choose, so the sum may be beyond all bounds.
func claimUntil(created time.Time, ttl time.Duration) int64 {
	from := created.UnixMilli()
	if from > math.MaxInt64-ttl.Milliseconds() {
		return math.MaxInt64
	}
	return from + ttl.Milliseconds()
}

// Encode makes the claim what its record holds.
func (c *Claim) Encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode claim: %w", err)
	}
	return b, nil
}

// DecodeClaim reads what Encode writes.
func DecodeClaim(b []byte) (*Claim, error) {
	c := new(Claim)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("decode claim: %w", err)
	}
	if c.Offset < 0 || schemas.CheckTaskID(c.TaskID) != "" {
		return nil, fmt.Errorf("decode claim: offset %d, task %.80q: both must be those of a lane record", c.Offset,
			c.TaskID)
	}
	return c, nil
}

// ClaimKey is the key of a claim's record: lane/user/unique/content/epoch-seq. It
// has a part more than a waiting task's, so that neither is taken for the other.
func ClaimKey(lane, userID string, content fold.Identity, at fold.State) []byte {
	return []byte(lane + "/" + url.PathEscape(userID) + "/unique/" + hex.EncodeToString(content[:]) + "/" + at.ID())
}

// ReadClaimKey is which content a key is a claim to; false for any other key.
func ReadClaimKey(key []byte) (content fold.Identity, at fold.State, ok bool) {
	parts := strings.Split(string(key), "/")
	if len(parts) != 5 || parts[1] == "" || parts[2] != "unique" {
		return content, at, false
	}
	sum, err := hex.DecodeString(parts[3])
	if err != nil || len(sum) != len(content) {
		return content, at, false
	}
	at, ok = fold.ParseStateID(parts[4])
	return fold.Identity(sum), at, ok && at != (fold.State{})
}

// claim is a claim that counts.
type claim struct {
	stamp   fold.State
	content fold.Identity
	taskID  string
	offset  int64  // of its task's record on the lane
	until   int64  // Unix ms
	key     []byte // for its tombstone
	dropped bool   // a tombstone is on its way
	at      int    // in the heap
	next    *claim // of the same content
}

// Before implements [heap.Node]: the one that ends first, of those that end at once the one
// whose record came first. What is being dropped comes last.
func (c *claim) Before(d *claim) bool {
	switch {
	case c.dropped != d.dropped:
		return d.dropped
	case c.until != d.until:
		return c.until < d.until
	}
	return c.stamp.Compare(d.stamp) < 0
}

// Place implements [heap.Node].
func (c *claim) Place() *int { return &c.at }

// claimset are the claims that count and have no tombstone: by their record, by
// their content, and by when they end. An ended one may still be among them.
type claimset struct {
	byStamp   map[fold.State]*claim
	byContent map[fold.Identity]*claim
	ending    heap.Heap[*claim]
}

func newClaimset() claimset {
	return claimset{byStamp: map[fold.State]*claim{}, byContent: map[fold.Identity]*claim{}}
}

func (cs *claimset) len() int { return len(cs.byStamp) }

func (cs *claimset) add(c *claim) {
	c.next = cs.byContent[c.content]
	cs.byContent[c.content] = c
	cs.byStamp[c.stamp] = c
	cs.ending.Push(c)
}

func (cs *claimset) remove(c *claim) {
	delete(cs.byStamp, c.stamp)
	cs.ending.Remove(c)
	first := cs.byContent[c.content]
	switch {
	case first != c:
		for first.next != c {
			first = first.next
		}
		first.next = c.next
	case c.next == nil:
		delete(cs.byContent, c.content)
	default:
		cs.byContent[c.content] = c.next
	}
}

// endedBy is the claim that ends first and has no tombstone on its way, nil if
// that is later than ms.
func (cs *claimset) endedBy(ms int64) *claim {
	if cs.ending.Len() == 0 {
		return nil
	}
	if c := cs.ending.Top(); !c.dropped && c.until <= ms {
		return c
	}
	return nil
}

// drop notes that a claim's tombstone is on its way: it moves to the heap's end.
func (cs *claimset) drop(c *claim) {
	c.dropped = true
	cs.ending.Fix(c)
}

// keepAll forgets which tombstones are on their way.
func (cs *claimset) keepAll() {
	for _, c := range cs.ending.All() {
		c.dropped = false
	}
	cs.ending.Init()
}
