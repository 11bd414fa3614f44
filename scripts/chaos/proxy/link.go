package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// maxFrame bounds a frame, so that a peer that speaks something else does not
// take all memory.
const maxFrame = 128 << 20

// link is a client's connection and the one to the broker.
type link struct {
	proxy          *Proxy
	client, server net.Conn

	// Guarded by the proxy's mu.
	waiting map[int32]request // by correlation id
	faulty  bool              // the proxy has touched it
}

// request is what must be known of a request to understand its answer.
type request struct {
	key, version int16
	at           time.Time
}

// errEnded ends a link by a fault.
var errEnded = errors.New("ended by a fault")

// run passes frames until either side ends.
func (l *link) run() {
	var both sync.WaitGroup
	for _, pass := range []func() error{l.passRequests, l.passAnswers} {
		both.Go(func() {
			_ = pass() // whatever it was, the link is over
			l.close()
		})
	}
	both.Wait()
}

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}

// readFrame reads a frame with its length.
func readFrame(from io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return nil, fmt.Errorf("read length: %w", err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame || n < 4 {
		return nil, fmt.Errorf("read frame: it claims %d bytes", n)
	}
	frame := make([]byte, 4+n)
	copy(frame, size[:])
	if _, err := io.ReadFull(from, frame[4:]); err != nil {
		return nil, fmt.Errorf("read frame: %w", err)
	}
	return frame, nil
}

func (l *link) passRequests() error {
	for {
		frame, err := readFrame(l.client)
		if err != nil {
			return err
		}
		if len(frame) < 12 {
			return errors.New("read request: too short for its header")
		}
		r := request{
			key:     int16(binary.BigEndian.Uint16(frame[4:])),
			version: int16(binary.BigEndian.Uint16(frame[6:])),
			at:      time.Now(),
		}
		l.proxy.mu.Lock()
		l.waiting[int32(binary.BigEndian.Uint32(frame[8:]))] = r
		l.proxy.mu.Unlock()
		if err := l.pass(l.server, frame, Frame{Key: r.key}); err != nil {
			return err
		}
	}
}

func (l *link) passAnswers() error {
	for {
		frame, err := readFrame(l.server)
		if err != nil {
			return err
		}
		id := int32(binary.BigEndian.Uint32(frame[4:]))
		l.proxy.mu.Lock()
		r, known := l.waiting[id]
		delete(l.waiting, id)
		l.proxy.mu.Unlock()
		if !known {
			return fmt.Errorf("read answer: nobody asked for %d", id)
		}
		if frame, err = l.proxy.rename(frame, r); err != nil {
			return err
		}
		if err := l.pass(l.client, frame, Frame{Key: r.key, Answer: true}); err != nil {
			return err
		}
	}
}

// pass sends a frame on, or does to it what the faults say.
func (l *link) pass(to net.Conn, frame []byte, f Frame) error {
	action, delay := l.proxy.decide(f)
	if delay > 0 {
		<-time.NewTimer(delay).C
	}
	if action != Pass {
		l.proxy.mu.Lock()
		l.faulty = true
		l.proxy.mu.Unlock()
	}
	switch action {
	case Drop:
		return nil
	case Break:
		return errEnded
	case Cut:
		frame = frame[:len(frame)/2]
	case Reset:
		for _, side := range []net.Conn{l.client, l.server} {
			if tcp, ok := side.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // the close becomes a reset
			}
		}
		return errEnded
	}
	if _, err := to.Write(frame); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if action == Cut {
		return errEnded
	}
	return nil
}
