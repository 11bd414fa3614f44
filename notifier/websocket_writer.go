package notifier

import (
	"errors"
	"time"

	"github.com/gorilla/websocket"
)

// States of a socket's writer.
const (
	writerIdle int32 = iota
	writerBusy
	// writerAgain is busy, with another look to take at what there is.
	writerAgain
	// writerOver is for good.
	writerOver
)

// writeBuffers is what writing needs; they are borrowed while there is something to write, so that a connection without
// news has none.
type writeBuffers struct {
	batch []item
	buf   []byte
}

// wake starts the writer unless it runs.
func (k *socket) wake() {
	for {
		switch state := k.state.Load(); state {
		case writerIdle:
			if k.state.CompareAndSwap(writerIdle, writerBusy) {
				go k.write() // the session ends only in there
				return
			}
		case writerBusy:
			if k.state.CompareAndSwap(writerBusy, writerAgain) {
				return
			}
		default:
			return
		}
	}
}

// beat makes the writer send a ping.
func (k *socket) beat() {
	k.pingDue.Store(true)
	k.wake()
}

func (k *socket) peer() (kind, remote string) { return kindWebSocket, k.conn.RemoteAddr().String() }

// write sends what there is. When the session ends it says why and closes the connection, which ends the reading side,
// and then everything.
func (k *socket) write() {
	w := k.n.buffers.Get().(*writeBuffers)
	for {
		why, last := k.flush(w)
		if why.code != 0 {
			k.state.Store(writerOver)
			k.n.buffers.Put(w.clean())
			k.end(why, last)
			return
		}
		if k.state.CompareAndSwap(writerBusy, writerIdle) {
			k.n.buffers.Put(w.clean())
			return
		}
		k.state.Store(writerBusy)
	}
}

// end is the last of the connection.
func (k *socket) end(why closing, last *message) {
	k.writeClose(why, true)
	k.kill()
	<-k.readerDone
	k.n.leave(k.session)
}

// flush sends until nothing is queued.
func (k *socket) flush(w *writeBuffers) (why closing, last *message) {
	for more := true; more; {
		w.batch, more, why = k.session.take(w.batch)
		if err := k.send(w); err != nil {
			return k.session.abandon(writeFailed(err)), nil
		}
		k.session.sent(w.batch)
		clear(w.batch)
	}
	return why, last
}

// writeFailed is why a write did: a client that takes nothing for the whole timeout is slow, any other is gone.
func writeFailed(err error) closing {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return slowClient()
	}
	return closing{code: codeGone}
}

// send writes a batch with as few calls to the kernel as there can be.
func (k *socket) send(w *writeBuffers) error {
	w.buf = w.buf[:0]
	if data := k.pongDue.Swap(nil); data != nil {
		w.buf = appendControl(w.buf, pongFrame, *data)
	}
	if k.pingDue.Swap(false) {
		w.buf = appendControl(w.buf, pingFrame, "")
	}
	if len(w.buf) == 0 && len(w.batch) == 0 {
		return nil
	}
	if err := k.extend(); err != nil {
		return err
	}
	if k.batch && len(w.batch) > 1 {
		w.appendBatch()
		return k.put(w.buf)
	}
	for _, it := range w.batch {
		if it.shared() && len(it.frame) > takeBytes {
			if err := k.put(w.buf); err != nil {
				return err
			}
			w.buf = w.buf[:0]
			if err := k.put(it.frame); err != nil {
				return err
			}
			continue
		}
		w.appendFrame(it)
	}
	return k.put(w.buf)
}

// extend gives a write its time: the timeout, and up to a quarter more. Moving the deadline costs a part of what a
// short write does, so it is not done for each.
func (k *socket) extend() error {
	now, timeout := time.Now(), k.n.cfg.WriteTimeout
	if k.deadline.Sub(now) >= timeout {
		return nil
	}
	k.deadline = now.Add(timeout + timeout/4)
	return k.conn.NetConn().SetWriteDeadline(k.deadline)
}

// put writes whole frames. The library writes nothing but close frames itself, each with one call, and calls do not
// mix.
func (k *socket) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := k.conn.NetConn().Write(b)
	return err
}

// appendFrame appends the frame of one message.
func (w *writeBuffers) appendFrame(it item) {
	if it.shared() {
		w.buf = append(w.buf, it.frame...)
		return
	}
	w.wrap(func() { w.buf = it.appendText(w.buf) })
}

// appendBatch appends one frame of all messages, with a line feed between.
func (w *writeBuffers) appendBatch() {
	w.wrap(func() {
		for i, it := range w.batch {
			if i > 0 {
				w.buf = append(w.buf, '\n')
			}
			w.buf = it.appendText(w.buf)
		}
	})
}

// wrap puts a frame's header before what add appends, whose length is known only then: room is left for the longest,
// and a shorter one moves the text.
func (w *writeBuffers) wrap(add func()) {
	start := len(w.buf)
	var room [maxHeader]byte
	w.buf = append(w.buf, room[:]...)
	add()
	text := w.buf[start+maxHeader:]
	head := headerLength(len(text))
	if head < maxHeader {
		copy(w.buf[start+head:], text)
		w.buf = w.buf[:start+head+len(text)]
	}
	appendHeader(w.buf[:start], len(text))
}

// clean is the buffers for the next one; what grew too much is let go.
func (w *writeBuffers) clean() *writeBuffers {
	clear(w.batch[:cap(w.batch)])
	if cap(w.buf) > 2*takeBytes {
		w.buf = nil
	}
	if cap(w.batch) > 4096 {
		w.batch = nil
	}
	return w
}

// writeClose sends the close frame and, if somebody reads, gives the client a moment to answer it: closing at once
// could take the frame from it.
func (k *socket) writeClose(why closing, read bool) {
	if why.code == codeGone {
		return
	}
	frame := websocket.FormatCloseMessage(why.code, why.reason)
	err := k.conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(closeGrace))
	if !read || err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		return
	}
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-k.readerDone:
	case <-timer.C:
	}
}
