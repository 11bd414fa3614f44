package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// frameStepBytes is how much memory a frame gets before its bytes have
	// arrived. A size is only a claim: without this, 4 bytes would buy 100 MiB.
	frameStepBytes = 64 << 10
	// keptBytes is the largest buffer a quiet connection holds on to; larger
	// ones go round among the connections.
	keptBytes = 256 << 10
)

// guardedConn reads from the network in frames and gives the checked bytes to
// the engine. Read is called by one goroutine at a time, as the engine does.
type guardedConn struct {
	net.Conn
	log       *slog.Logger
	buffers   *sync.Pool    // of *[]byte, the guard's
	conns     *conns        // the guard's
	lingering *lingering    // the guard's
	done      func()        // once: closes closed and tells the guard
	closed    chan struct{} // by the engine

	parked parked

	frame []byte // the current frame with its size; reused
	rest  []byte // what of it the engine has not read yet
}

// Read gives out the current frame, and reads and checks the next one when that
// is used up. A frame that fails its check is logged, ends the connection and
// is not seen by the engine at all.
func (c *guardedConn) Read(p []byte) (int, error) {
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
func (c *guardedConn) Write(p []byte) (int, error) {
	c.parked.written(p)
	return c.Conn.Write(p)
}

// Close closes the connection; further calls only repeat the close.
func (c *guardedConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// next reads and checks one frame.
func (c *guardedConn) next() error {
	err := c.readFrame()
	var req kmsg.Request
	if err == nil {
		req, err = checkRequest(c.frame[sizeBytes:], time.Now())
	}
	if bad := (*frameError)(nil); errors.As(err, &bad) {
		c.log.Warn("closed a connection that sent a malformed request",
			"remote", c.RemoteAddr().String(), "error", err)
	}
	if err != nil {
		c.end()
		return err
	}
	c.parked.passed(c.frame[sizeBytes:], req)
	c.rest = c.frame
	return nil
}

// end closes the connection for the network, and returns when the engine may
// learn of it, which is when no request that can be parked waits for its answer.
//
// The engine starts the session timer of a new member with the answer to its
// JoinGroup, and not if the connection has ended before: nothing would ever
// expel that member. This way the answer goes nowhere and the member has its
// session timeout to come back, as with Apache Kafka.
func (c *guardedConn) end() {
	_ = c.Conn.Close() // what counts is that the connection has ended
	c.conns.remove(c)
	answered := c.parked.answered()
	if answered == nil {
		return
	}
	c.frame = nil // it may be large, and the wait long
	select {
	case <-answered:
	case <-c.closed:
	case <-c.lingering.enter():
	case <-time.After(lingerAtMost):
	}
}

// readFrame reads one frame into c.frame.
func (c *guardedConn) readFrame() error {
	if cap(c.frame) > keptBytes {
		spare := c.frame
		c.frame = nil
		c.buffers.Put(&spare)
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
	for len(c.frame) < want {
		c.room(want)
		if err := c.fill(min(want, cap(c.frame))); err != nil {
			return err
		}
	}
	return nil
}

// room makes the buffer large enough for want bytes if a spare one is at hand,
// and otherwise four times as large as what has arrived.
func (c *guardedConn) room(want int) {
	if cap(c.frame) >= want || cap(c.frame) > len(c.frame) {
		return
	}
	if want > keptBytes {
		if spare, _ := c.buffers.Get().(*[]byte); spare != nil && cap(*spare) >= want {
			c.frame = append((*spare)[:0], c.frame...)
			return
		}
	}
	grown := make([]byte, 0, min(want, max(frameStepBytes, 4*len(c.frame))))
	c.frame = append(grown, c.frame...)
}

// fill reads until the frame has n bytes.
func (c *guardedConn) fill(n int) error {
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
