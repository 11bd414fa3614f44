package engineio

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/aiecs/tasklane/internal/httpedge"
)

// pollPackets is the most packets in the answer to one poll: the Python client gives up at a payload of more than 16.
const pollPackets = 16

var (
	errTwoPolls = fmt.Errorf("%w: two polls at a time", ErrProtocol)
	errTwoPosts = fmt.Errorf("%w: two posts at a time", ErrProtocol)
)

// servePoll answers a GET as soon as there is something for the client.
func (c *Conn) servePoll(w http.ResponseWriter, r *http.Request) *RefusalError {
	wake, refused := c.beginPoll()
	if refused != nil {
		return refused
	}
	for {
		packets, last, refused := c.polled()
		if refused != nil {
			return refused
		}
		if len(packets) > 0 {
			if err := writePolled(w, c.server.cfg.WriteTimeout, appendPayload(nil, packets)); err != nil {
				c.lost(err)
			} else if last {
				c.finish()
			}
			return nil
		}
		select {
		case <-wake:
		case <-c.ctx.Done():
		case <-r.Context().Done():
			// What is sent now would go nowhere: the client must know.
			c.over(closeNormal, ErrGone, kindNone)
		}
	}
}

// beginPoll makes the request the one that takes from the outbox.
func (c *Conn) beginPoll() (wake <-chan struct{}, refused *RefusalError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.owed:
		c.owed = false
	case c.why != nil:
		return nil, unknownSession()
	case c.transport != Polling:
		return nil, changed()
	case c.polling:
		c.end(closePolicy, errTwoPolls, kindClose)
		return nil, badRequest("A poll of the same connection is under way: the connection is closed.")
	}
	c.polling = true
	return c.wake, nil
}

// polled is what the poll is answered with now, if anything. With an answer the poll is over before that is written:
// the client's next request may be here before the writer has returned.
func (c *Conn) polled() (packets []packet, last bool, refused *RefusalError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.why != nil && c.parting == kindNone:
		refused = unknownSession()
	case c.why != nil:
		packets = []packet{{kind: c.parting}}
	case c.transport != Polling:
		refused = changed()
	default:
		packets, last = c.takeLocked(nil, pollPackets)
		if len(packets) == 0 && c.probed {
			packets = []packet{{kind: kindNoop}}
		}
	}
	c.polling = len(packets) == 0 && refused == nil
	return packets, last, refused
}

// lost ends the connection after a write that failed: its packets are gone.
func (c *Conn) lost(err error) {
	why := ErrGone
	if isTimeout(err) {
		why = ErrSlow
	}
	c.over(closeNormal, why, kindNone)
}

// writePolled writes an answer at once, within the timeout. The deadline is taken off again: the server's next answer
// on this TCP connection is not ours.
func writePolled(w http.ResponseWriter, timeout time.Duration, body []byte) error {
	control := http.NewResponseController(httpedge.BareWriter(w))
	// Writers that know no deadline are those of tests.
	_ = control.SetWriteDeadline(time.Now().Add(timeout))
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store, no-transform")
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("answer poll: %w", err)
	}
	if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("answer poll: %w", err)
	}
	_ = control.SetWriteDeadline(time.Time{})
	return nil
}

// servePost hears the packets in a request's body.
func (c *Conn) servePost(w http.ResponseWriter, r *http.Request) *RefusalError {
	if refused := c.beginPost(); refused != nil {
		return refused
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(c.server.cfg.ReadTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(c.server.cfg.MaxPayload)))
	if err != nil {
		return c.unread(err)
	}
	_ = control.SetReadDeadline(time.Time{})
	err = c.handleAll(body)
	c.endPost()
	if err != nil && !errors.Is(err, ErrGone) {
		return badRequest("The connection is closed: " + err.Error() + ".")
	}
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Cache-Control", "no-store, no-transform")
	_, _ = io.WriteString(w, "ok") // the client may be gone
	return nil
}

// handleAll handles the packets of a payload, up to the one that ends the connection.
func (c *Conn) handleAll(body []byte) error {
	var over error
	if err := parsePayload(body, func(p packet) bool { over = c.handle(p); return over == nil }); err != nil {
		return c.violated(fmt.Errorf("%w: %w", ErrProtocol, err))
	}
	return over
}

func (c *Conn) beginPost() *RefusalError {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.why != nil:
		return unknownSession()
	case c.transport != Polling:
		return changed()
	case c.posting:
		c.end(closePolicy, errTwoPosts, kindClose)
		return badRequest("A post of the same connection is under way: the connection is closed.")
	}
	c.posting = true
	return nil
}

// endPost comes before the answer, as the client's next request may follow that at once. A post that fails ends the
// connection instead.
func (c *Conn) endPost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.posting = false
}

// unread ends the connection after a body that could not be read: what follows it would be out of order.
func (c *Conn) unread(err error) *RefusalError {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		c.over(closeTooBig, ErrTooBig, kindNone)
		return &RefusalError{Status: http.StatusRequestEntityTooLarge, Title: "the payload is too big", code: codeBadRequest,
			Detail: fmt.Sprintf("At most %d bytes a request, as said in the handshake. The connection is closed.", tooBig.Limit)}
	}
	c.over(closeNormal, ErrGone, kindNone)
	return badRequest("The body could not be read.")
}
