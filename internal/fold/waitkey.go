package fold

import (
	"net/url"
	"strings"
)

// WaitKey is what the key of a record of tasks.scheduled says whose task waits:
// lane/user/task/epoch-seq, the names escaped as in a URL's path.
//
// At is the stamp that the record was first written with. The seq is part of the key
// because an owner that was superseded may write about a task once more: with the epoch
// alone its record would take the place of the one that counts at the next compaction.
type WaitKey struct {
	Lane, UserID, TaskID string
	At                   State
}

// Encode is the key's bytes.
func (k WaitKey) Encode() []byte {
	return []byte(k.Lane + "/" + url.PathEscape(k.UserID) + "/" + url.PathEscape(k.TaskID) + "/" + k.At.ID())
}

// ParseWaitKey reads a key; false for that of a fence or a claim, or a foreign one.
func ParseWaitKey(key []byte) (WaitKey, bool) {
	parts := strings.Split(string(key), "/")
	if len(parts) != 4 || parts[1] == "" {
		return WaitKey{}, false
	}
	user, err := url.PathUnescape(parts[1])
	task, err2 := url.PathUnescape(parts[2])
	at, ok := ParseStateID(parts[3])
	return WaitKey{Lane: parts[0], UserID: user, TaskID: task, At: at},
		err == nil && err2 == nil && ok && at != (State{})
}

// WaitFenceKey is the key of a fence, which has no user, as no task is without. Every
// fence is kept: what a superseded owner wrote after it must not count for a reader from
// the start.
func WaitFenceKey(lane string, at State) []byte { return []byte(lane + "///" + at.ID()) }
