package remote

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/processor/external/message"
)

// described is what a worker is told that has said what the service has.
type described struct {
	Service     string `json:"service"`
	MaxInflight int    `json:"max_inflight"`
	HeartbeatMS int64  `json:"heartbeat_ms"`
}

// describe takes in what a worker says the service has.
func (s *Server) describe(c *gin.Context) error {
	of, err := s.chosen(c)
	if err != nil {
		return err
	}
	body, err := s.bodies.Read(c.Writer, c.Request, of.name, maxBody)
	if err != nil {
		return err //nolint:wrapcheck // it is answered
	}
	m, err := message.Parse(body)
	if err != nil || m.Type != message.Ready {
		return httpedge.NewProblem(http.StatusBadRequest,
			`the body is no ready message; write {"type":"ready","protocol":1,"tasks":{"NAME":{}}}`)
	}
	if err := of.describe(m, body); err != nil {
		if httpedge.ProblemOf(err) != nil {
			return err
		}
		return httpedge.NewProblem(http.StatusUnprocessableEntity, err.Error())
	}
	return httpedge.Answer(c.Writer, http.StatusOK, described{of.name, of.config.MaxInflight,
		of.config.Heartbeat.Milliseconds()})
}

// ping answers a worker that is still there, once there is something that it should know.
func (s *Server) ping(c *gin.Context) error {
	l, err := s.leased(c)
	if err != nil {
		return err
	}
	patience, err := waitOf(c, 0, maxWait)
	if err != nil {
		return err
	}
	leave, ok := l.ask()
	if !ok {
		return errTooManyRequests()
	}
	defer leave()
	l.hear()
	// The next one has to come within the heartbeat window.
	timer := time.NewTimer(min(patience, l.service.config.Heartbeat/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.stop:
	case <-l.over:
	case <-s.stopping:
	case <-c.Request.Context().Done():
	}
	if over := l.ended(); over != nil {
		return over.problem()
	}
	return l.answer(c, nil)
}

// take takes messages of a kind about a task.
func (s *Server) take(kind string) httpedge.Handler {
	return func(c *gin.Context) error {
		l, err := s.leased(c)
		if err != nil {
			return err
		}
		leave, ok := l.ask()
		if !ok {
			return errTooManyRequests()
		}
		defer leave()
		if err := l.takeTurn(c.Request.Context()); err != nil {
			return err
		}
		defer l.endTurn()
		b, err := s.receive(c, l, kind)
		if p := httpedge.ProblemOf(err); p != nil && p.Status != http.StatusServiceUnavailable {
			l.refuse(http.StatusText(p.Status))
		}
		if err != nil {
			return err
		}
		if m := b.last(); m != nil && m.Wrong != "" {
			return httpedge.NewProblem(http.StatusUnprocessableEntity, "the message "+m.Type+" cannot be read: "+
				message.Cut(m.Wrong, maxName)+"; the task has ended with that")
		}
		return l.answer(c, b.told)
	}
}

// receive reads what a worker says about its task, and waits until it is taken. What is too long ends the attempt: it
// would be as long again.
func (s *Server) receive(c *gin.Context, l *lease, kind string) (*batch, error) {
	body, err := s.bodies.Read(c.Writer, c.Request, l.id, maxBody)
	if errors.Is(err, httpedge.ErrTooLarge) {
		return nil, l.tooLong(c)
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // it is answered
	}
	size := int64(len(body))
	defer s.held.Add(-size)
	if s.held.Add(size) > maxHeld {
		return nil, httpedge.Unavailable("too much waits to be taken; nothing of this was, try again")
	}
	b, err := readBatch(kind, l.id, body)
	if err != nil {
		return nil, err
	}
	return b, l.deliver(c.Request.Context(), b)
}

// tooLong ends an attempt whose worker has sent too much at once.
func (l *lease) tooLong(c *gin.Context) error {
	const advice = "more than 1 MiB in one request; return less, or write it in pieces with output"
	b := &batch{done: make(chan struct{}), messages: []*message.Message{
		{Type: message.Error, Message: "the worker sent " + advice},
	}}
	if err := l.deliver(c.Request.Context(), b); err != nil {
		return err
	}
	return httpedge.NewProblem(http.StatusRequestEntityTooLarge, "this is "+advice+". The task has failed with that")
}

// deliver waits until the attempt's handler has taken what the worker says.
func (l *lease) deliver(ctx context.Context, b *batch) error {
	select {
	case l.inbox <- b:
		<-b.done
		return nil
	case <-l.over:
		return l.ended().problem()
	case <-ctx.Done():
		return errCutOff()
	}
}

// answer tells a worker what became of what it said, and whether it is to stop.
func (l *lease) answer(c *gin.Context, told []byte) error {
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(writeTime))
	l.limits(c.Writer.Header())
	c.Data(http.StatusOK, "application/x-ndjson", append(told, l.told()...))
	return nil
}
