package remote

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
)

const (
	defaultWait = 30 * time.Second
	maxWait     = time.Minute
	// reservedFor is how much longer a poll goes on for which an attempt was let in that has not begun yet.
	reservedFor = 5 * time.Second
	// maxName is the longest name that a worker may give itself.
	maxName = 200
)

// next gives a worker a task, once there is one.
func (s *Server) next(c *gin.Context) error {
	if c.Request.Method == http.MethodHead { // it would be given a task that it cannot read
		c.Header("Allow", http.MethodGet)
		return httpedge.NewProblem(http.StatusMethodNotAllowed, "this path does not take HEAD; "+help)
	}
	of, err := s.chosen(c)
	if err != nil {
		return err
	}
	patience, err := waitOf(c, defaultWait, maxWait)
	if err != nil {
		return err
	}
	worker := c.Query(paramWorker)
	if len(worker) > maxName {
		return httpedge.Invalid(paramWorker, "must have at most "+strconv.Itoa(maxName)+" bytes")
	}
	p, err := of.wait(worker)
	if err != nil {
		return err
	}
	return s.await(c, of, p, patience)
}

// await answers a poll. Whatever comes first, a task that it was given is taken from it.
func (s *Server) await(c *gin.Context, of *service, p *poll, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	extended := false
	for {
		var gone, stopping bool
		select {
		case h := <-p.given:
			return hand(c, h)
		case <-timer.C:
		case <-c.Request.Context().Done():
			gone = true
		case <-of.ended:
			stopping = true
		case <-s.stopping:
			stopping = true
		}
		switch state := of.withdraw(p, gone || stopping || extended); {
		case state == used:
			return hand(c, <-p.given)
		case state == reserved:
			extended = true
			timer.Reset(reservedFor)
			continue
		case stopping:
			return errStopping()
		}
		c.Status(http.StatusNoContent)
		c.Header("Cache-Control", "no-store")
		return nil
	}
}

// hand writes a task to the worker that it is given to, and says whether that was possible.
func hand(c *gin.Context, h *handover) error {
	select {
	case <-c.Request.Context().Done():
		h.done <- errGone
		return nil
	default:
	}
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(writeTime))
	header := c.Writer.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(h.line)))
	h.lease.limits(header)
	_, err := c.Writer.Write(h.line)
	if err == nil {
		err = http.NewResponseController(httpedge.BareWriter(c.Writer)).Flush()
	}
	h.done <- err
	return nil // the answer has begun
}

// Headers of answers. Times are in milliseconds.
const (
	headerAttempt   = "Tasklane-Attempt"
	headerHeartbeat = "Tasklane-Heartbeat-Ms"
	headerSoft      = "Tasklane-Soft-Time-Limit-Ms"
	headerHard      = "Tasklane-Time-Limit-Ms"
)

// limits tells the worker how long it has.
func (l *lease) limits(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set(headerAttempt, l.id)
	header.Set(headerHeartbeat, milliseconds(l.service.config.Heartbeat))
	for name, at := range map[string]time.Time{headerSoft: l.soft, headerHard: l.hard} {
		if !at.IsZero() {
			header.Set(name, milliseconds(time.Until(at)))
		}
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 0), 10) }

// waitOf is how long a request waits for something to be told.
func waitOf(c *gin.Context, otherwise, most time.Duration) (time.Duration, error) {
	text, given := c.GetQuery(paramWait)
	if !given {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > most {
		return 0, httpedge.Invalid(paramWait, "must be a duration of at most "+most.String()+", for example 20s")
	}
	return d, nil
}
