package engineio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	closeNormal    = websocket.CloseNormalClosure
	closeGoingAway = websocket.CloseGoingAway
	closePolicy    = websocket.ClosePolicyViolation
	closeTooBig    = websocket.CloseMessageTooBig

	// closeGrace is how long a client has to answer a close frame.
	closeGrace = time.Second
	// readBuffer is small: clients say little.
	readBuffer = 512
	// framePackets is the most packets taken from the outbox at a time.
	framePackets = 256
)

// socket is a connection's WebSocket.
type socket struct {
	*Conn
	ws   *websocket.Conn
	wake <-chan struct{}
	// readerDone is closed when nothing more can be read.
	readerDone chan struct{}
	buffer     []byte
}

// handshakeError answers a handshake that the library refuses.
func handshakeError(w http.ResponseWriter, _ *http.Request, status int, reason error) {
	r := badRequest(reason.Error() + ".")
	r.Status = status
	r.write(w)
}

// openSocket turns the request into the WebSocket of a new connection.
func (s *Server) openSocket(c *Conn, w http.ResponseWriter, r *http.Request) {
	ws, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		c.over(closeNormal, ErrGone, kindNone)
		return
	}
	k := &socket{Conn: c, ws: ws, wake: c.wake, readerDone: make(chan struct{})}
	if err := k.write(c.greeting()); err != nil || !s.spawn(k.writeAll) {
		c.over(closeGoingAway, ErrShutdown, kindNone)
		_ = writeClose(ws, closeGoingAway, ErrShutdown.Error()) // if it can still be told
		k.close()
		return
	}
	if !s.spawn(k.readAll) {
		close(k.readerDone)
		c.over(closeGoingAway, ErrShutdown, kindNone)
	}
}

// readAll hears what the client says until it is gone.
func (k *socket) readAll() {
	defer close(k.readerDone)
	k.ws.SetReadLimit(int64(k.server.cfg.MaxPayload))
	for {
		p, err := k.read()
		if err != nil {
			k.ended(err)
			return
		}
		if k.handle(p) != nil {
			k.drain()
			return
		}
	}
}

// read is the next packet.
func (k *socket) read() (packet, error) {
	kind, data, err := k.ws.ReadMessage()
	if err != nil {
		return packet{}, fmt.Errorf("read frame: %w", err)
	}
	if kind == websocket.BinaryMessage {
		return packet{kind: kindMessage, binary: true, data: data}, nil
	}
	p, err := parsePart(data) // a client may be made to send no binary frames
	if err != nil {
		return packet{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return p, nil
}

// ended ends the connection for what read said.
func (k *socket) ended(err error) {
	switch {
	case errors.Is(err, ErrProtocol):
		k.over(closePolicy, err, kindNone)
	case errors.Is(err, websocket.ErrReadLimit):
		k.over(closeTooBig, ErrTooBig, kindNone)
	default:
		k.over(closeNormal, ErrGone, kindNone)
		return
	}
	k.drain()
}

// drain reads on for a moment: closing with bytes unread would reset the TCP connection and take the close frame from
// the client.
func (k *socket) drain() {
	conn := k.ws.NetConn()
	_ = conn.SetReadDeadline(time.Now().Add(closeGrace))
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
}

// writeAll sends what is queued until the connection ends, then closes the WebSocket, which ends the reading side too.
func (k *socket) writeAll() {
	defer k.close()
	// A write that is under way when the connection ends must not hold that up.
	stop := context.AfterFunc(k.ctx, func() { time.AfterFunc(2*closeGrace, k.close) })
	defer stop()
	var batch []packet
	for {
		var last bool
		batch, last = k.take(batch[:0], framePackets)
		err := k.write(batch...)
		clear(batch)
		switch {
		case err != nil:
			k.lost(err)
		case last:
			k.finish()
		}
		if k.ctx.Err() != nil {
			k.bye()
			return
		}
		select {
		case <-k.wake:
		case <-k.ctx.Done():
		}
	}
}

// write sends each packet in a frame of its own.
func (k *socket) write(packets ...packet) error {
	if len(packets) == 0 {
		return nil
	}
	if err := k.ws.SetWriteDeadline(time.Now().Add(k.server.cfg.WriteTimeout)); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	for _, p := range packets {
		kind := websocket.TextMessage
		if p.binary {
			kind = websocket.BinaryMessage
		}
		k.buffer = p.appendFrame(k.buffer[:0])
		if err := k.ws.WriteMessage(kind, k.buffer); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
	}
	if cap(k.buffer) > takeBytes {
		k.buffer = nil
	}
	return nil
}

// bye sends the close frame and gives the client a moment to answer it.
func (k *socket) bye() {
	k.mu.Lock()
	code, why := k.code, k.why
	k.mu.Unlock()
	if errors.Is(why, ErrSlow) {
		return // it would not read this either
	}
	if writeClose(k.ws, code, why.Error()) != nil {
		return
	}
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-k.readerDone:
	case <-timer.C:
	}
}

// writeClose sends a close frame, whose reason may have 123 bytes.
func writeClose(ws *websocket.Conn, code int, reason string) error {
	reason = strings.ToValidUTF8(reason[:min(len(reason), 123)], "")
	err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(closeGrace))
	if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		return fmt.Errorf("write close frame: %w", err)
	}
	return nil
}

func (k *socket) close() {
	// There is nobody left to tell of an error.
	_ = k.ws.NetConn().Close()
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
