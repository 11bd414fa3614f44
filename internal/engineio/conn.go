package engineio

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Transport is how a client is reached at the moment.
type Transport string

// The transports.
const (
	Polling   Transport = "polling"
	WebSocket Transport = "websocket"
)

// Conn is the connection of one client, over whichever transport. Its methods may be called by several goroutines.
type Conn struct {
	id     string
	server *Server
	// ctx ends with the connection.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// room has space for one signal: the outbox was taken from.
	room chan struct{}

	// delivering keeps calls of the listener apart. It is taken before mu.
	delivering sync.Mutex
	listener   Listener

	mu  sync.Mutex
	out outbox
	// wake has space for one signal to whoever takes from the outbox: a poll or the WebSocket's writer. A change of
	// transport closes it and makes another.
	wake      chan struct{}
	transport Transport
	// polling and posting say that such a request is under way.
	polling, posting bool
	// upgrading is whether a WebSocket tries to take over, and probed whether it has been told that it can: polls are
	// then answered at once.
	upgrading, probed bool
	// pinged is whether the answer to a ping is awaited; timer is for both the next ping and the answer.
	pinged bool
	timer  *time.Timer
	// farewell is set once the connection takes no more messages: it ends when the outbox is empty.
	farewell *farewell
	// why is set when the connection has ended, and parting what a poll that waits is still given then.
	why     error
	parting kind
	code    int // of the WebSocket's close frame
	// owed says that the client has closed the connection and that its poll has not come yet: the two travel on
	// different TCP connections.
	owed bool
}

// farewell is what a connection ends with.
type farewell struct {
	code  int
	why   error
	until time.Time
}

// ID names the connection. Who knows it can read and write as the client.
func (c *Conn) ID() string { return c.id }

// Context ends with the connection, and with it as cause.
func (c *Conn) Context() context.Context { return c.ctx }

// Transport is the one that the client uses now.
func (c *Conn) Transport() Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport
}

// Send queues messages for the client, one after the other with nothing between them. It waits while too much waits
// already, until ctx or the connection ends. The data must not be changed afterwards.
func (c *Conn) Send(ctx context.Context, messages ...Message) error {
	packets := make([]packet, len(messages))
	for i, m := range messages {
		if !m.Binary && slices.Contains(m.Data, separator) {
			return fmt.Errorf("send message: %w", errControl)
		}
		packets[i] = packet{kind: kindMessage, binary: m.Binary, data: m.Data}
	}
	for {
		sent, err := c.trySend(packets)
		if sent || err != nil {
			return err
		}
		select {
		case <-c.room:
		case <-c.ctx.Done():
		case <-ctx.Done():
			return fmt.Errorf("send message: %w", context.Cause(ctx))
		}
	}
}

func (c *Conn) trySend(packets []packet) (sent bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.why != nil:
		return false, fmt.Errorf("send message: %w", c.why)
	case c.farewell != nil:
		return false, fmt.Errorf("send message: %w", c.farewell.why)
	case c.out.bytes >= c.server.cfg.BufferBytes:
		return false, nil
	}
	c.push(packets...)
	if c.out.bytes < c.server.cfg.BufferBytes {
		signal(c.room) // another sender may be waiting too
	}
	return true, nil
}

// push queues packets whatever else is queued. The lock is held.
func (c *Conn) push(packets ...packet) {
	c.out.push(packets...)
	signal(c.wake)
}

// End ends the connection once what was sent has been taken by the client, for which it has the given time; with none
// it ends at once. A WebSocket is closed with the code and the error's text; a client that polls is told that the
// connection is not known any more, so clients of both kinds come back. Only the first call counts, except that one
// without time cuts the time of another short.
func (c *Conn) End(linger time.Duration, code int, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil || c.farewell != nil && linger > 0 {
		return
	}
	if linger <= 0 || c.out.empty() && c.transport == Polling {
		c.end(code, why, kindNone)
		return
	}
	c.farewell = &farewell{code: code, why: why, until: time.Now().Add(linger)}
	c.timer.Reset(linger)
	signal(c.wake)
}

// over ends the connection at once: the client did something wrong or is gone.
func (c *Conn) over(code int, why error, parting kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(code, why, parting)
}

// end does it, and only once. The lock is held.
func (c *Conn) end(code int, why error, parting kind) {
	if c.why != nil {
		return
	}
	c.why, c.code, c.parting = why, code, parting
	c.owed = parting == kindNoop && c.transport == Polling && !c.polling
	c.timer.Stop()
	c.out = outbox{}
	c.cancel(why)
	go c.reportClosed(why)
}

// reportClosed tells the listener, when no message is being heard any more, and gives the connection's place back.
func (c *Conn) reportClosed(why error) {
	defer c.server.leave(c)
	c.delivering.Lock()
	defer c.delivering.Unlock()
	if c.listener != nil {
		c.listener.Closed(why)
	}
	c.mu.Lock()
	owed := c.owed
	c.mu.Unlock()
	if owed {
		<-time.After(rememberClosed)
	}
}

// rememberClosed is how long a closed connection is remembered for the poll that its client sent before it said
// goodbye.
const rememberClosed = 50 * time.Millisecond

// beat is the timer's: it asks for a sign of life, or ends what gave none or did not take the last words.
func (c *Conn) beat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.why != nil:
	case c.farewell != nil:
		if left := time.Until(c.farewell.until); left > 0 {
			c.timer.Reset(left) // this call was for a ping, and late
			return
		}
		c.end(c.farewell.code, c.farewell.why, kindNone)
	case c.pinged:
		c.end(closePolicy, ErrSilent, kindNone)
	default:
		c.pinged = true
		c.push(packet{kind: kindPing})
		c.timer.Reset(c.server.cfg.PingTimeout)
	}
}

// answered notes a pong; one that was not asked for changes nothing.
func (c *Conn) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pinged && c.why == nil && c.farewell == nil {
		c.pinged = false
		c.timer.Reset(c.server.cfg.PingInterval)
	}
}

// handle takes one packet of the client. It reports why the connection is over if it is.
func (c *Conn) handle(p packet) error {
	switch p.kind {
	case kindMessage:
		return c.deliver(p)
	case kindPong:
		c.answered()
		return nil
	case kindClose:
		c.over(closeNormal, ErrGone, kindNoop)
		return ErrGone
	case kindNoop, kindUpgrade:
		return nil // left over from an upgrade
	}
	return c.violated(fmt.Errorf("%w: a client must not send a packet of type %c here", ErrProtocol, p.kind))
}

// violated ends the connection of a client that does not keep to the protocol.
func (c *Conn) violated(why error) error {
	c.over(closePolicy, why, kindNone)
	return why
}

// deliver gives a message to the listener, unless the connection is over.
func (c *Conn) deliver(p packet) error {
	c.delivering.Lock()
	defer c.delivering.Unlock()
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if err := c.listener.Message(Message{Data: p.data, Binary: p.binary}); err != nil {
		c.over(closePolicy, err, kindNone)
		return err
	}
	return nil
}

// take moves packets out of the outbox for one write. Last says that these are the connection's last words; the caller
// ends it when they are written.
func (c *Conn) take(batch []packet, count int) (_ []packet, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takeLocked(batch, count)
}

func (c *Conn) takeLocked(batch []packet, count int) (_ []packet, last bool) {
	batch = c.out.take(batch, count, takeBytes)
	if !c.out.empty() {
		signal(c.wake)
	}
	if c.out.bytes < c.server.cfg.BufferBytes {
		signal(c.room)
	}
	return batch, c.farewell != nil && c.out.empty()
}

// takeBytes is about how much goes into one write.
const takeBytes = 64 << 10

// finish ends a connection whose last words have been written.
func (c *Conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(c.farewell.code, c.farewell.why, kindNone)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
