package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// Dialects: what a client says to be served.
const (
	dialectPlain      = "plain"
	dialectSingle     = "tasklane.v1"
	dialectBatch      = "tasklane.v1.batch"
	dialectCentrifuge = "centrifuge"
)

// watcher is one client on a raw socket: what it costs should not be what is
// measured.
type watcher struct {
	conn    net.Conn
	in      *bufio.Reader
	dialect string
	user    int
	next    atomic.Int64 // the event that must come
	frame   []byte
}

// connect returns when the server has the client among those it sends to.
func connect(ctx context.Context, addr, dialect string, user int) (*watcher, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	w := &watcher{conn: conn, in: bufio.NewReaderSize(conn, 4<<10), dialect: dialect, user: user}
	if err := w.handshake(addr); err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

func (w *watcher) handshake(addr string) error {
	request := "GET /ws?user_id=" + userName(w.user) + " HTTP/1.1\r\nHost: " + addr +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
		"dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if w.dialect == dialectSingle || w.dialect == dialectBatch {
		request += "Sec-WebSocket-Protocol: " + w.dialect + "\r\n"
	}
	if _, err := io.WriteString(w.conn, request+"\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("answered %s", res.Status)
	}
	if w.dialect == dialectCentrifuge {
		if err := w.write(opText, []byte(`{"id":1,"connect":{}}`)); err != nil {
			return err
		}
	}
	// The first message says that the client is served.
	_, text, err := w.read()
	if _, _, isEvent := place(text); isEvent {
		return errors.New("an event came before the welcome")
	}
	return err
}

// watch reads so many more events and checks that each is the next one.
func (w *watcher) watch(events int) error {
	for until := w.next.Load() + int64(events); w.next.Load() < until; {
		op, text, err := w.read()
		if err != nil {
			return fmt.Errorf("client of %s after %d events: %w", userName(w.user), w.next.Load(), err)
		}
		switch {
		case op == opPing:
			err = w.write(opPong, text)
		case op == opText && string(text) == "{}": // centrifuge asks whether it is there
			err = w.write(opText, text)
		case op == opText:
			err = w.check(text)
		case op == opClose:
			err = fmt.Errorf("closed: %q", text)
		}
		if err != nil {
			return fmt.Errorf("client of %s: %w", userName(w.user), err)
		}
	}
	return nil
}

// check takes the events in a frame, one a line.
func (w *watcher) check(text []byte) error {
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		user, n, ok := place(line)
		switch {
		case !ok:
			return fmt.Errorf("no event: %.200q", line)
		case user != w.user:
			return fmt.Errorf("an event of %s", userName(user))
		case int64(n) != w.next.Load():
			return fmt.Errorf("event %d came where %d should", n, w.next.Load())
		}
		w.next.Add(1)
	}
	return nil
}

// Opcodes of frames.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// read is the next frame; its payload is valid until the one after.
func (w *watcher) read() (op byte, payload []byte, err error) {
	head, err := w.in.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	op, length, skip := head[0]&0x0f, uint64(head[1]), 2
	switch length {
	case 126:
		skip = 4
		if head, err = w.in.Peek(skip); err != nil {
			return 0, nil, err
		}
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		skip = 10
		if head, err = w.in.Peek(skip); err != nil {
			return 0, nil, err
		}
		length = binary.BigEndian.Uint64(head[2:])
	}
	if length > 16<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes", length)
	}
	_, _ = w.in.Discard(skip) // they were peeked at
	if uint64(cap(w.frame)) < length {
		w.frame = make([]byte, length)
	}
	_, err = io.ReadFull(w.in, w.frame[:length])
	return op, w.frame[:length], err
}

// write sends a short frame with a mask of zeros, as a client must.
func (w *watcher) write(op byte, payload []byte) error {
	frame := append([]byte{0x80 | op, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
	_, err := w.conn.Write(frame)
	return err
}
