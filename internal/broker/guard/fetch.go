package guard

import (
	"encoding/binary"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker/logdir"
	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

// Bounds of one fetch. A client that asks for more gets less and asks again: the
// answer always has one batch at least.
const (
	maxFetchWaitMillis = 30_000
	maxFetchMinBytes   = 64 << 10
	maxFetchBytes      = 8 << 20
	// minFetchBytes is what is left for each when there are many connections.
	minFetchBytes = 256 << 10
)

// Where the fields stand in the body of a fetch; up to version 14 the id of a replica is before them.
const (
	replicaBytes      = 4
	lastWithReplica   = 14
	atFetchWait       = 0
	atFetchMin        = 4
	atFetchMax        = 8
	firstWithSessions = 7
	atFetchEpoch      = 8 + 4 + 1 + 4 // behind the bytes, the isolation level and the session's id
)

// noSession is the epoch of a fetch outside any session.
const noSession = -1

// checkFetch bounds how long a fetch waits, for how much, and how much it is given, in the request itself.
//
// A session keeps what partitions a client fetches. Those that do not exist would
// let it grow without end, so a fetch with one begins no session and is told that
// the one it is in does not exist: the client then names all partitions each time.
func (g *Guard) checkFetch(req *kmsg.FetchRequest, body []byte) kmsg.Response {
	if req.Version <= lastWithReplica {
		body = body[replicaBytes:]
	}
	clamp(body[atFetchWait:], maxFetchWaitMillis)
	clamp(body[atFetchMin:], maxFetchMinBytes)
	clamp(body[atFetchMax:], int32(max(minFetchBytes, min(maxFetchBytes, maxAnswerBytes/2/max(g.slots.count(), 1)))))
	if req.Version < firstWithSessions || req.SessionEpoch == noSession || g.usage.knows(req) {
		return nil
	}
	if req.SessionEpoch == 0 {
		epoch := int32(noSession)
		binary.BigEndian.PutUint32(body[atFetchEpoch:], uint32(epoch))
		return nil
	}
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	resp.ErrorCode = kerr.FetchSessionIDNotFound.Code
	return resp
}

// clamp bounds a number in a request from above.
func clamp(field []byte, highest int32) {
	if int32(binary.BigEndian.Uint32(field)) > highest {
		binary.BigEndian.PutUint32(field, uint32(highest))
	}
}

// verifyFetch reports whether the records in an answer to a fetch are as they were written. The engine looks at
// their checksums when it starts only, and a client that gets damaged ones asks for them again, for good.
func (c *conn) verifyFetch(e expected, answer []byte) bool {
	g := c.guard
	if len(answer) < sizeBytes+correlationBytes+recordbatch.HeaderBytes || e.instead != nil {
		return true
	}
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(e.version)
	body := answer[sizeBytes+correlationBytes:]
	if resp.IsFlexible() {
		body = body[1:]
	}
	if resp.ReadFrom(body) != nil {
		return true
	}
	for i := range resp.Topics {
		for _, p := range resp.Topics[i].Partitions {
			topic := g.usage.nameOf(&resp.Topics[i])
			unreadable := p.ErrorCode == kerr.UnknownServerError.Code && g.isGone(topic, p.Partition)
			asked := c.asked.of(&resp.Topics[i], p.Partition)
			if unreadable || !recordbatch.Sound(p.RecordBatches, asked, p.HighWatermark) {
				g.isDamaged(topic, p.Partition)
				return false
			}
		}
	}
	return true
}

// asked are the offsets from which a connection has fetched last. In a session it
// names only those that have changed.
type asked struct {
	mu      sync.Mutex
	offsets map[askedKey]int64
}

type askedKey struct {
	topic     string
	id        [16]byte
	partition int32
}

// note notes a fetch that goes to the engine.
func (a *asked) note(req *kmsg.FetchRequest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.offsets == nil || req.SessionEpoch <= 0 { // all are named
		a.offsets = make(map[askedKey]int64)
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			if p := &t.Partitions[j]; len(a.offsets) < logdir.MaxPartitions {
				a.offsets[askedKey{t.Topic, t.TopicID, p.Partition}] = p.FetchOffset
			}
		}
	}
}

// of is the offset from which a partition was asked for; 0 if that is not known.
func (a *asked) of(t *kmsg.FetchResponseTopic, partition int32) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, ok := a.offsets[askedKey{t.Topic, t.TopicID, partition}]; ok {
		return at
	}
	return a.offsets[askedKey{"", t.TopicID, partition}] // the answer has a name as well
}
