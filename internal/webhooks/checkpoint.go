package webhooks

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aiecs/tasklane/internal/fold"
)

// checkpoint is what the group's commit for a partition says.
type checkpoint struct {
	// position is the committed offset: the first event that may have no delivery.
	position int64
	// open is where the oldest open delivery stands in task-webhooks, and floor
	// from where on there may be deliveries of events at or after position.
	open, floor int64
	// states are the fold's at position, by lane.
	states map[string]fold.State
	// anchor is when the broker took the event before position, in Unix ms, and logs
	// which topics all of this is about: by these, logs that are no longer what they
	// were are told. 0 and "" are not known.
	anchor int64
	logs   string
}

const (
	checkpointVersion = "wh2"
	// maxMarkBytes is less than the 4,096 bytes that Kafka takes as metadata.
	maxMetadataBytes = 3500
)

// metadata is the commit's metadata: wh2:OPEN:FLOOR:ANCHOR:LOGS:LANE=EPOCH.SEQ,…
func (m checkpoint) metadata() string {
	text := fmt.Sprintf("%s:%d:%d:%d:%s:", checkpointVersion, m.open, m.floor, m.anchor, m.logs)
	for i, lane := range slices.Sorted(maps.Keys(m.states)) {
		state := fmt.Sprintf("%s=%d.%d", lane, m.states[lane].Epoch, m.states[lane].Seq)
		if i > 0 {
			state = "," + state
		}
		if len(text)+len(state) > maxMetadataBytes {
			// Some 60 lanes fit. Others start from the first state that is seen.
			break
		}
		text += state
	}
	return text
}

// parseMark reads a commit. One without such metadata, which somebody made by
// hand, starts from the first state that is seen, and reads task-webhooks from
// its start.
func parseCheckpoint(offset int64, metadata string) checkpoint {
	m := checkpoint{position: max(offset, 0)}
	fields := strings.SplitN(metadata, ":", 6)
	if len(fields) != 6 || fields[0] != checkpointVersion {
		return m
	}
	open, err1 := strconv.ParseInt(fields[1], 10, 64)
	floor, err2 := strconv.ParseInt(fields[2], 10, 64)
	anchor, err3 := strconv.ParseInt(fields[3], 10, 64)
	states, ok := parseStates(fields[5])
	if err1 != nil || err2 != nil || err3 != nil || !ok || open < 0 || floor < open || anchor < 0 {
		return m
	}
	m.open, m.floor, m.anchor, m.logs, m.states = open, floor, anchor, fields[4], states
	return m
}

func parseStates(text string) (map[string]fold.State, bool) {
	states := map[string]fold.State{}
	if text == "" {
		return states, true
	}
	for part := range strings.SplitSeq(text, ",") {
		lane, state, ok := strings.Cut(part, "=")
		epochText, seqText, ok2 := strings.Cut(state, ".")
		epoch, err1 := strconv.ParseInt(epochText, 10, 64)
		seq, err2 := strconv.ParseInt(seqText, 10, 64)
		if !ok || !ok2 || err1 != nil || err2 != nil || lane == "" || epoch < 0 || seq < 0 {
			return nil, false
		}
		states[lane] = fold.State{Epoch: epoch, Seq: seq}
	}
	return states, true
}

// shards are the states by the shards' names.
func (m checkpoint) shards(partition int32) map[string]fold.State {
	shards := make(map[string]fold.State, len(m.states))
	for lane, state := range m.states {
		shards[fold.ShardID{Lane: lane, Partition: partition}.String()] = state
	}
	return shards
}

// laneStates are the fold's states by lane. Shards of other partitions, and names
// that no lane has, are nobody's and left out.
func laneStates(shards map[string]fold.State, partition int32) map[string]fold.State {
	lanes := make(map[string]fold.State, len(shards))
	for name, state := range shards {
		id, err := fold.ParseShardID(name)
		if err == nil && id.Partition == partition && len(id.Lane) <= 32 && !strings.ContainsAny(id.Lane, ":,=") {
			lanes[id.Lane] = state
		}
	}
	return lanes
}

func (m checkpoint) equal(other checkpoint) bool {
	return m.position == other.position && m.open == other.open && m.floor == other.floor &&
		maps.Equal(m.states, other.states)
}
