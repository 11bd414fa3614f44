package guard

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Some requests are never answered, because the member came back and joined again or was expelled meanwhile.
// Connections that wait for such an answer after their end are bounded in number and in time, both far above what a
// rebalance on one machine takes.
const (
	maxLingering = 256
	lingerAtMost = time.Hour
)

// pending is the JoinGroup or SyncGroup that a connection passed on last, for as long as the engine has not answered
// it. The engine answers the requests of one connection in turn and asks for the next only then, or to see the end
// coming: when a connection ends, no request but the last can be unanswered.
type pending struct {
	last atomic.Pointer[pendingRequest]
}

type pendingRequest struct {
	correlation uint32
	member      groupMember
	done        chan struct{} // closed by the answer
}

// groupMember names a member of a group. The id is empty for one that joins
// without and is given one with the answer.
type groupMember struct {
	group, id string
}

// passed notes a request that goes to the engine, and its frame without the size. It is for the reader alone.
func (p *pending) passed(frame []byte, req kmsg.Request) {
	var member groupMember
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		member = groupMember{group: req.Group, id: req.MemberID}
	case *kmsg.SyncGroupRequest:
		member = groupMember{group: req.Group, id: req.MemberID}
	default:
		p.last.Store(nil)
		return
	}
	correlation := binary.BigEndian.Uint32(frame[atCorrelation:])
	p.last.Store(&pendingRequest{correlation: correlation, member: member, done: make(chan struct{})})
}

// written notes an answer of the engine.
func (p *pending) written(answer []byte) {
	r := p.last.Load()
	if r == nil || len(answer) < sizeBytes+correlationBytes ||
		binary.BigEndian.Uint32(answer[sizeBytes:]) != r.correlation {
		return
	}
	if p.last.CompareAndSwap(r, nil) {
		close(r.done)
	}
}

// answered returns nil if nothing waits for its answer, and otherwise the channel that the answer closes.
func (p *pending) answered() <-chan struct{} {
	if r := p.last.Load(); r != nil {
		return r.done
	}
	return nil
}

// lingering bounds how many connections linger: one too many sends off the one
// that has waited longest, which most likely waits for nothing any more.
type lingering struct {
	mu     sync.Mutex
	places [maxLingering]chan struct{}
	next   int
}

// enter takes a place. The channel closes when another needs it.
func (l *lingering) enter() (displaced <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if oldest := l.places[l.next]; oldest != nil {
		close(oldest)
	}
	place := make(chan struct{})
	l.places[l.next] = place
	l.next = (l.next + 1) % maxLingering
	return place
}
