package webhooks

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aiecs/tasklane/internal/journal"
)

// mark is what the group's commit for a partition says.
type mark struct {
	// position is the committed offset: the first event that may have no delivery.
	position int64
	// open is where the oldest open delivery stands in task-webhooks, and floor
	// from where on there may be deliveries of events at or after position.
	open, floor int64
	// states are the fold's at position, by lane.
	states map[string]journal.State
}

const (
	markVersion = "wh1"
	// maxMarkBytes is less than the 4,096 bytes that Kafka takes as metadata.
	maxMarkBytes = 3500
)

// metadata is the commit's metadata: wh1:OPEN:FLOOR:LANE=EPOCH.SEQ,…
func (m mark) metadata() string {
	text := fmt.Sprintf("%s:%d:%d:", markVersion, m.open, m.floor)
	for i, lane := range slices.Sorted(maps.Keys(m.states)) {
		state := fmt.Sprintf("%s=%d.%d", lane, m.states[lane].Epoch, m.states[lane].Seq)
		if i > 0 {
			state = "," + state
		}
		if len(text)+len(state) > maxMarkBytes {
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
func parseMark(offset int64, metadata string) mark {
	m := mark{position: max(offset, 0)}
	fields := strings.SplitN(metadata, ":", 4)
	if len(fields) != 4 || fields[0] != markVersion {
		return m
	}
	open, err1 := strconv.ParseInt(fields[1], 10, 64)
	floor, err2 := strconv.ParseInt(fields[2], 10, 64)
	states, ok := parseStates(fields[3])
	if err1 != nil || err2 != nil || !ok || open < 0 || floor < open {
		return m
	}
	m.open, m.floor, m.states = open, floor, states
	return m
}

func parseStates(text string) (map[string]journal.State, bool) {
	states := map[string]journal.State{}
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
		states[lane] = journal.State{Epoch: epoch, Seq: seq}
	}
	return states, true
}

// shards are the states by the shards' names.
func (m mark) shards(partition int32) map[string]journal.State {
	shards := make(map[string]journal.State, len(m.states))
	for lane, state := range m.states {
		shards[journal.ShardID{Lane: lane, Partition: partition}.String()] = state
	}
	return shards
}

// laneStates are the fold's states by lane. Shards of other partitions, and names
// that no lane has, are nobody's and left out.
func laneStates(shards map[string]journal.State, partition int32) map[string]journal.State {
	lanes := make(map[string]journal.State, len(shards))
	for name, state := range shards {
		id, err := journal.ParseShardID(name)
		if err == nil && id.Partition == partition && len(id.Lane) <= 32 && !strings.ContainsAny(id.Lane, ":,=") {
			lanes[id.Lane] = state
		}
	}
	return lanes
}

func (m mark) equal(other mark) bool {
	return m.position == other.position && m.open == other.open && m.floor == other.floor && maps.Equal(m.states, other.states)
}
