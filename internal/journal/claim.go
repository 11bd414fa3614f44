package journal

import (
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// Content is what a task that asks to be unique is compared by, and for how long
// its claim holds.
type Content struct {
	Sum Identity
	TTL time.Duration
}

// contentOf is nil for a task that need not be unique.
func contentOf(t *schemas.Task) *Content {
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

func (c *Claim) encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode claim: %w", err)
	}
	return b, nil
}

func decodeClaim(b []byte) (*Claim, error) {
	c := new(Claim)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("decode claim: %w", err)
	}
	if c.Offset < 0 || schemas.CheckTaskID(c.TaskID) != "" {
		return nil, fmt.Errorf("decode claim: offset %d, task %.80q: both must be those of a lane record", c.Offset, c.TaskID)
	}
	return c, nil
}

// claimKey is the key of a claim's record: lane/user/unique/content/epoch-seq. It
// has a part more than a waiting task's, so that neither is taken for the other.
func claimKey(lane, userID string, content Identity, at State) []byte {
	return []byte(lane + "/" + url.PathEscape(userID) + "/unique/" + hex.EncodeToString(content[:]) + "/" + at.waitID())
}

// readClaimKey is which content a key is a claim to; false for any other key.
func readClaimKey(key []byte) (content Identity, at State, ok bool) {
	parts := strings.Split(string(key), "/")
	if len(parts) != 5 || parts[1] == "" || parts[2] != "unique" {
		return content, at, false
	}
	sum, err := hex.DecodeString(parts[3])
	if err != nil || len(sum) != len(content) {
		return content, at, false
	}
	at, ok = parseWaitID(parts[4])
	return Identity(sum), at, ok && at != (State{})
}
