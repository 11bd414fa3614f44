package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// frameStepBytes is how much memory a frame gets before its bytes have
	// arrived. A size is only a claim: without this, 4 bytes would buy 100 MiB.
	frameStepBytes = 64 << 10
	// keptBytes is the largest buffer a quiet connection holds on to; larger ones go round among the connections.
	keptBytes = 64 << 10
)

// How long a frame may take that is larger than slowBytes: a frame that has begun and does not go on holds memory.
const (
	slowBytes      = 4 << 10
	frameTime      = 30 * time.Second
	bytesPerSecond = 4 << 20
	answerTime     = time.Minute      // for an answer to be taken
	roomTime       = 10 * time.Second // for memory for a frame to be found
	roomPause      = 20 * time.Millisecond
)

// conn reads from the network in frames and gives the checked bytes to the engine. Read is called by one goroutine
// at a time, as the engine does, and Write by another.
type conn struct {
	net.Conn
	guard  *Guard
	done   func()        // once: closes closed and tells the guard
	closed chan struct{} // by the engine

	moved   atomic.Int64 // when a frame or an answer was last got through; Unix nanoseconds
	pending pending
	answers answers
	asked   asked

	frame []byte // the current frame with its size; reused
	rest  []byte // what of it the engine has not read yet
	taken int64  // of the guard's budget of frames
	// waits is until when the engine may keep a fetch of this connection.
	waits atomic.Int64 // Unix nanoseconds

	largest int64 // answer, for which the budget of answers is held; the writer's
}

// move notes that the connection is alive.
func (c *conn) move() { c.moved.Store(time.Now().UnixNano()) }

func (c *conn) lastMoved() time.Time { return time.Unix(0, c.moved.Load()) }

// Read gives out the current frame, and reads and checks the next one when that is used up. A frame that fails its
// check is logged, ends the connection and is not seen by the engine at all.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write gives an answer of the engine to the network.
func (c *conn) Write(p []byte) (int, error) {
	c.pending.written(p)
	out := p
	if e, ok := c.answers.take(); ok {
		if e.key == kmsg.Fetch && !c.verifyFetch(e, p) {
			return 0, net.ErrClosed // the client gets it sound, or not at all
		}
		out = e.onTheWayOut(p)
		if e.release != nil {
			e.release()
		}
	}
	if n := int64(len(p)); n > uncountedBytes && n > c.largest {
		if !c.guard.replies.grow(c, n-c.largest) {
			c.evict("there is no memory left for its answer")
			return 0, net.ErrClosed
		}
		c.largest = n
	}
	if len(out) > slowBytes {
		_ = c.SetWriteDeadline(time.Now().Add(answerTime)) // fails with the connection, as the write will
	}
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	c.move()
	return len(p), nil
}

// Close closes the connection; further calls only repeat the close.
func (c *conn) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// evict closes the connection for the network; the engine closes it then.
func (c *conn) evict(why string) {
	c.guard.log.Warn("closed a connection", "why", why, "remote", c.RemoteAddr().String())
	_ = c.Conn.Close() // what counts is that the connection has ended
}

// leave gives back what the connection holds. What the engine still keeps for it,
// a fetch that waits, holds its slot and its memory for as long.
func (c *conn) leave() {
	c.guard.replies.drop(c)
	release := func() {
		c.answers.drop()
		c.guard.frames.drop(c)
		c.guard.slots.release()
	}
	if left := time.Until(time.Unix(0, c.waits.Load())); left > 0 {
		time.AfterFunc(left, release)
		return
	}
	release()
}

// next reads and checks one frame, and notes what answer the engine owes for it.
func (c *conn) next() error {
	err := c.readFrame()
	var req checked
	if err == nil {
		req, err = c.guard.checkRequest(c.frame[sizeBytes:], time.Now())
	}
	if bad := (*frameError)(nil); errors.As(err, &bad) {
		c.guard.log.Warn("closed a connection that sent a malformed request",
			"remote", c.RemoteAddr().String(), "error", err)
	}
	if err != nil {
		c.end()
		return err
	}
	c.move()
	c.pass(req)
	return nil
}

// pass gives a checked request to the engine.
func (c *conn) pass(req checked) {
	c.rest = c.frame
	e := expected{key: kmsg.Key(binary.BigEndian.Uint16(req.frame)),
		version: int16(binary.BigEndian.Uint16(req.frame[2:]))}
	if req.answer != nil {
		e.instead = encodeAnswer(req.frame, req.answer)
		c.rest = standIn(req.frame)
		req.req = nil
	}
	if fetch, ok := req.req.(*kmsg.FetchRequest); ok {
		e.release = c.keepFetch(fetch, len(req.frame))
		c.asked.note(fetch)
	}
	c.pending.passed(req.frame, req.req)
	if !req.silent {
		c.answers.expect(e)
	}
}

// decodedFactor is about how much larger a request is that the engine keeps.
const decodedFactor = 8

// keepFetch counts a fetch that the engine may keep for a while. It returns what is to be done when it is answered.
func (c *conn) keepFetch(fetch *kmsg.FetchRequest, bytes int) (release func()) {
	wait := min(fetch.MaxWaitMillis, maxFetchWaitMillis)
	c.waits.Store(time.Now().Add(time.Duration(wait) * time.Millisecond).UnixNano())
	if bytes <= slowBytes {
		return c.answered
	}
	kept := int64(decodedFactor * bytes)
	if !c.guard.frames.grow(c, kept) {
		c.evict("there is no memory left for its request")
		return c.answered
	}
	return func() {
		c.guard.frames.shrink(c, kept)
		c.answered()
	}
}

// answered says that the engine keeps no fetch of this connection.
func (c *conn) answered() { c.waits.Store(0) }

// end closes the connection for the network, and returns when the engine may
// learn of it, which is when no request that can be pending waits for its answer.
//
// The engine starts the session timer of a new member with the answer to its JoinGroup, and not if the connection
// has ended before: nothing would ever expel that member. This way the answer goes nowhere and the member has its
// session timeout to come back, as with Apache Kafka.
func (c *conn) end() {
	_ = c.Conn.Close() // what counts is that the connection has ended
	c.guard.conns.remove(c)
	answered := c.pending.answered()
	if answered == nil {
		return
	}
	c.frame = nil // it may be large, and the wait long
	select {
	case <-answered:
	case <-c.closed:
	case <-c.guard.lingering.enter():
	case <-time.After(lingerAtMost):
	}
}

// readFrame reads one frame into c.frame.
func (c *conn) readFrame() error {
	if cap(c.frame) > keptBytes {
		spare := c.frame
		c.frame = nil
		c.guard.buffers.Put(&spare)
	}
	if c.taken > 0 {
		c.guard.frames.shrink(c, c.taken)
		c.taken = 0
	}
	c.frame = c.frame[:0]
	if err := c.fill(sizeBytes + fixedHeaderBytes); err != nil {
		return err
	}
	size := int32(binary.BigEndian.Uint32(c.frame))
	if err := checkSize(size, c.frame[sizeBytes:]); err != nil {
		return err
	}
	want := sizeBytes + int(size)
	if want <= slowBytes {
		return c.fill(want)
	}
	_ = c.SetReadDeadline(time.Now().Add(frameTime + time.Duration(want)*time.Second/bytesPerSecond))
	for len(c.frame) < want {
		if err := c.room(want); err != nil {
			return err
		}
		if err := c.fill(min(want, cap(c.frame))); err != nil {
			return err
		}
		c.move()
	}
	return c.SetReadDeadline(time.Time{})
}

// room makes the buffer large enough for want bytes if a spare one is at hand,
// and otherwise four times as large as what has arrived.
func (c *conn) room(want int) error {
	if cap(c.frame) >= want || cap(c.frame) > len(c.frame) {
		return nil
	}
	if want > keptBytes {
		spare, _ := c.guard.buffers.Get().(*[]byte)
		if spare != nil && cap(*spare) >= want && c.guard.frames.grow(c, int64(want)-c.taken) {
			c.taken = int64(want)
			c.frame = append((*spare)[:0], c.frame...)
			return nil
		}
	}
	size := min(want, max(frameStepBytes, 4*len(c.frame)))
	if size > uncountedBytes {
		if err := c.takeRoom(int64(size) - c.taken); err != nil {
			return err
		}
	}
	c.frame = append(make([]byte, 0, size), c.frame...)
	return nil
}

// takeRoom takes n more bytes of the budget of frames. If there are none it waits
// a while for another frame to be done with.
func (c *conn) takeRoom(n int64) error {
	for waited := time.Duration(0); !c.guard.frames.grow(c, n); waited += roomPause {
		if waited >= roomTime {
			return refuse("there has been no memory for a frame of %d bytes for %v", n, roomTime)
		}
		select {
		case <-c.closed:
			return net.ErrClosed
		case <-time.After(roomPause):
		}
	}
	c.taken += n
	return nil
}

// fill reads until the frame has n bytes.
func (c *conn) fill(n int) error {
	have := len(c.frame)
	c.frame = slices.Grow(c.frame, n-have)[:n]
	if _, err := io.ReadFull(c.Conn, c.frame[have:]); err != nil {
		c.frame = c.frame[:have]
		return err
	}
	return nil
}

// frameError says why a frame was refused.
type frameError struct {
	reason string
}

func (e *frameError) Error() string { return "check request: " + e.reason }

// refuse makes a frameError.
func refuse(format string, args ...any) error {
	return &frameError{reason: fmt.Sprintf(format, args...)}
}
