package broker

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Some joins are never answered, because the member came back and joined again
// or was expelled by a session timer from before. Connections that wait for
// such an answer after their end are bounded in number and in time, both far
// above what a rebalance on one machine takes.
const (
	maxLingering = 256
	lingerAtMost = time.Hour
)

// pendingJoin is the JoinGroup that a connection passed on last, for as long as
// the engine has not answered it. The engine answers the requests of one
// connection in turn and asks for the next only then, or to see the end coming:
// when a connection ends, no request but the last can be unanswered.
type pendingJoin struct {
	last atomic.Pointer[join]
}

type join struct {
	correlation uint32
	answered    chan struct{} // closed by the answer
}

// passed notes a frame that goes to the engine. It is for the reader alone.
func (p *pendingJoin) passed(frame []byte) {
	if kmsg.Key(binary.BigEndian.Uint16(frame[sizeBytes:])) != kmsg.JoinGroup {
		p.last.Store(nil)
		return
	}
	p.last.Store(&join{
		correlation: binary.BigEndian.Uint32(frame[sizeBytes+atCorrelation:]),
		answered:    make(chan struct{}),
	})
}

// written notes an answer of the engine.
func (p *pendingJoin) written(answer []byte) {
	j := p.last.Load()
	if j == nil || len(answer) < sizeBytes+correlationBytes || binary.BigEndian.Uint32(answer[sizeBytes:]) != j.correlation {
		return
	}
	if p.last.CompareAndSwap(j, nil) {
		close(j.answered)
	}
}

// answered returns nil if no JoinGroup waits for its answer, and otherwise the
// channel that the answer closes.
func (p *pendingJoin) answered() <-chan struct{} {
	if j := p.last.Load(); j != nil {
		return j.answered
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
