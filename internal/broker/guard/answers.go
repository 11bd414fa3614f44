package guard

import (
	"encoding/binary"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// answers are the requests of a connection that the engine has been given and not answered yet. It answers them in
// turn, so that the first is always the one an answer belongs to.
//
// What the guard refuses with an error that a client understands, it cannot answer by itself: the answer has its
// place behind those that the engine still owes. So the engine gets a harmless request in its stead (for the
// versions of APIs), and its answer is replaced on the way out.
type answers struct {
	mu   sync.Mutex
	next []expected
}

// expected is what is known of an answer before it comes.
type expected struct {
	key     kmsg.Key
	version int16
	instead []byte // of the engine's
	release func() // called when it is there; may be nil
}

// expect notes a request that goes to the engine and will be answered.
func (a *answers) expect(e expected) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = append(a.next, e)
}

// take returns what is known of the answer that the engine gives now.
func (a *answers) take() (expected, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.next) == 0 {
		return expected{}, false
	}
	e := a.next[0]
	n := copy(a.next, a.next[1:])
	a.next[n] = expected{}
	a.next = a.next[:n]
	return e, true
}

// drop lets go of what the answers that will never come have held.
func (a *answers) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.next {
		if e.release != nil {
			e.release()
		}
	}
	a.next = nil
}

// standIn is the harmless request with the correlation id of another.
func standIn(frame []byte) []byte {
	out := make([]byte, 0, sizeBytes+fixedHeaderBytes+2)
	out = binary.BigEndian.AppendUint32(out, fixedHeaderBytes+2)
	out = binary.BigEndian.AppendUint16(out, uint16(kmsg.ApiVersions))
	out = binary.BigEndian.AppendUint16(out, 0)
	out = append(out, frame[atCorrelation:atCorrelation+correlationBytes]...)
	return binary.BigEndian.AppendUint16(out, 1<<16-1) // no client id
}

// encodeAnswer encodes an answer to frame, with its size.
func encodeAnswer(frame []byte, resp kmsg.Response) []byte {
	out := append(make([]byte, sizeBytes, 256), frame[atCorrelation:atCorrelation+correlationBytes]...)
	if resp.IsFlexible() && resp.Key() != kmsg.ApiVersions.Int16() {
		out = append(out, 0) // no tagged fields in the header
	}
	out = resp.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-sizeBytes))
	return out
}

// onTheWayOut returns what the client gets for an answer of the engine.
func (e expected) onTheWayOut(answer []byte) []byte {
	switch {
	case e.instead != nil:
		return e.instead
	case e.key == kmsg.ApiVersions && len(answer) >= sizeBytes+correlationBytes:
		resp := kmsg.NewPtrApiVersionsResponse()
		resp.SetVersion(e.version)
		if resp.ReadFrom(answer[sizeBytes+correlationBytes:]) != nil {
			return answer
		}
		announced(resp)
		header := answer[sizeBytes-atCorrelation:] // the correlation id stands where it does in a request
		return encodeAnswer(header, resp)
	}
	return answer
}
