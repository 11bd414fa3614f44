package fold

import (
	"fmt"
	"strconv"
	"strings"
)

// Commit is what an owner leaves with the consumer group for its successor: the
// lane offset up to which everything is finished and, as the commit's metadata,
// where in the journal to start reading and with which state.
type Commit struct {
	// Offset is the first lane offset that is not finished; -1 if nothing was
	// ever committed.
	Offset int64
	// Position is where the successor starts its fold, with exactly Before.
	Position int64
	Before   State
	// Own is the epoch of the owner that committed.
	Own int64
	// Window is where the identities of finished tasks start that a repeated
	// task is recognised by. At most Position.
	Window int64
	// LaneEpoch is the leader epoch of what was received, the commit's own in Kafka;
	// -1 if it is not known. The broker says by it how far the lane still is the one
	// of then.
	LaneEpoch int32
}

// Foreign reports whether another program has committed: it knows no more than an
// offset.
func (c *Commit) Foreign() bool { return c.Offset >= 0 && c.Own == 0 }

// metadataVersion starts the metadata, so that a later form is told apart.
const metadataVersion = "tl1"

// Metadata is the commit's metadata: at most 110 bytes, of the 4,096 that Kafka
// takes.
func (c Commit) Metadata() string {
	return fmt.Sprintf("%s:%d:%d:%d:%d:%d", metadataVersion, c.Position, c.Before.Epoch, c.Before.Seq, c.Own, c.Window)
}

// ParseCommit reads a committed offset and its metadata. A commit of another
// program (no metadata, or none of ours) yields the offset and a journal that
// is read from its start: slow, but nothing is missed.
func ParseCommit(offset int64, metadata string) Commit {
	c := Commit{Offset: offset, LaneEpoch: -1}
	fields := strings.Split(metadata, ":")
	if len(fields) != 6 || fields[0] != metadataVersion {
		return c
	}
	var numbers [5]int64
	for i, field := range fields[1:] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil || n < 0 || n > MaxNumber {
			return c
		}
		numbers[i] = n
	}
	c.Position, c.Before.Epoch, c.Before.Seq, c.Own, c.Window = numbers[0], numbers[1], numbers[2], numbers[3],
		numbers[4]
	c.Window = min(c.Window, c.Position)
	return c
}
