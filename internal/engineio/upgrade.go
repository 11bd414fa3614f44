package engineio

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// serveUpgrade lets a WebSocket take over from polling. One that may not is opened and closed: the client sees why, and
// the connection is as it was.
func (s *Server) serveUpgrade(c *Conn, w http.ResponseWriter, r *http.Request) {
	ws, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // answered
	}
	k := &socket{Conn: c, ws: ws, readerDone: make(chan struct{})}
	if !c.beginUpgrade() {
		_ = writeClose(ws, closePolicy, "the connection has a WebSocket")
		k.close()
		return
	}
	if !s.spawn(k.takeOver) {
		c.endUpgrade()
		k.close()
	}
}

func (c *Conn) beginUpgrade() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil || c.farewell != nil || c.upgrading || c.transport != Polling {
		return false
	}
	c.upgrading = true
	return true
}

func (c *Conn) endUpgrade() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upgrading, c.probed = false, false
}

// takeOver goes through the upgrade and is then the WebSocket's reader. A WebSocket that fails before it has taken over
// leaves the client to its polls.
func (k *socket) takeOver() {
	// The connection may end while the WebSocket says nothing.
	stop := context.AfterFunc(k.ctx, k.close)
	if err := k.probe(); err != nil {
		stop()
		k.endUpgrade()
		_ = writeClose(k.ws, closePolicy, err.Error())
		k.close()
		return
	}
	k.switchOver()
	if !stop() || !k.server.spawn(k.writeAll) {
		k.over(closeGoingAway, ErrShutdown, kindNone)
		k.close()
		return
	}
	k.readAll()
}

// probe is the exchange before the switch.
func (k *socket) probe() error {
	k.ws.SetReadLimit(int64(k.server.cfg.MaxPayload))
	if err := k.ws.SetReadDeadline(time.Now().Add(k.server.cfg.UpgradeTimeout)); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	if err := k.expect(kindPing, probe); err != nil {
		return err
	}
	if err := k.write(packet{kind: kindPong, data: []byte(probe)}); err != nil {
		return err
	}
	free := time.AfterFunc(probeGrace, k.freePoll)
	defer free.Stop()
	if err := k.expect(kindUpgrade, ""); err != nil {
		return err
	}
	return k.ws.SetReadDeadline(time.Time{})
}

// probeGrace is how long a poll may still wait after the probe: a client that switches without waiting for its poll is
// told that the poll was in vain.
const probeGrace = 50 * time.Millisecond

// freePoll answers the poll that waits, and those to come: the client switches only when it has none under way.
func (k *socket) freePoll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.upgrading {
		k.probed = true
		signal(k.Conn.wake)
	}
}

func (k *socket) expect(want kind, data string) error {
	p, err := k.read()
	if err != nil {
		return err
	}
	if p.binary || p.kind != want || string(p.data) != data {
		return fmt.Errorf("%w: an upgrade is a ping with probe and then an upgrade packet", ErrProtocol)
	}
	return nil
}

// switchOver makes the WebSocket the transport.
func (k *socket) switchOver() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.Conn.wake) // a poll that still waits is told
	k.Conn.wake = make(chan struct{}, 1)
	k.wake = k.Conn.wake
	k.transport, k.upgrading, k.probed = WebSocket, false, false
}
