package mcp

import (
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
)

const (
	// writeLimit is how long a client may take to read what was written to it.
	writeLimit = 30 * time.Second
	// firstWord is how long an answer may be kept back to be one JSON object, with a status of its own; then it becomes
	// a stream, in which a comment is sent every keepAlive.
	firstWord = 5 * time.Second
	keepAlive = 15 * time.Second
)

// reply is the answer to a request that may take its time: one JSON object, or server-sent events from when something
// is told before the end. Clients that take no stream are told nothing before it.
type reply struct {
	c       *gin.Context
	r       *request
	control *http.ResponseController
	streams bool
	opened  bool
}

// newReply makes one, without a time limit on when it ends.
func newReply(c *gin.Context, r *request) *reply {
	a := &reply{c: c, r: r, control: http.NewResponseController(httpedge.BareWriter(c.Writer))}
	for _, line := range c.Request.Header.Values("Accept") {
		a.streams = a.streams || strings.Contains(strings.ToLower(line), "text/event-stream")
	}
	_ = a.control.SetWriteDeadline(time.Time{}) // writers that know no deadline are those of tests
	return a
}

// quiet is how long nothing need be sent.
func (a *reply) quiet() time.Duration {
	if a.opened {
		return keepAlive
	}
	return firstWord
}

// alive shows that the server is at work, and whether the client is still there.
func (a *reply) alive() error {
	if !a.streams {
		return nil
	}
	return a.write([]byte(": \n\n"))
}

// notify tells something before the end.
func (a *reply) notify(method string, params object) error {
	if !a.streams {
		return nil
	}
	return a.event(object{"jsonrpc": "2.0", "method": method, "params": params})
}

// done sends the result.
func (a *reply) done(result object) error {
	if a.opened {
		_ = a.event(a.r.response(result)) // the client may be gone; there is nobody to tell
		return nil
	}
	_ = a.control.SetWriteDeadline(time.Now().Add(writeLimit))
	return send(a.c.Writer, http.StatusOK, a.r.response(result))
}

// fail answers with an error. One before anything was sent has a status, which whoever called gives it.
func (a *reply) fail(err error) error {
	e := errorOf(err)
	if !a.opened || e == nil {
		_ = a.control.SetWriteDeadline(time.Now().Add(writeLimit))
		return err
	}
	said := *e
	said.id = a.r.ID
	_ = a.event(said.body()) // as above
	return nil
}

func (a *reply) event(o object) error {
	body, err := encode(o)
	if err != nil {
		return err
	}
	return a.write(append(append([]byte("data: "), body...), "\n\n"...))
}

// write sends a piece of the stream, and the headers before the first, which tell proxies not to gather.
func (a *reply) write(b []byte) error {
	if !a.opened {
		a.opened = true
		h := a.c.Writer.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store, no-transform")
		h.Set("X-Accel-Buffering", "no")
		a.c.Writer.WriteHeader(http.StatusOK)
	}
	if err := a.control.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return err
	}
	if _, err := a.c.Writer.Write(b); err != nil {
		return err
	}
	return a.control.Flush()
}
