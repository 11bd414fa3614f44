package openai

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
)

const (
	// writeLimit is how long a client may take to read what was written to it.
	writeLimit = 30 * time.Second
	// keepAlive is how often a comment is sent where nothing else is.
	keepAlive = 15 * time.Second
)

// sse writes server-sent events.
type sse struct {
	w       gin.ResponseWriter
	control *http.ResponseController
	opened  bool
	buffer  []byte
}

func newSSE(c *gin.Context) *sse {
	return &sse{w: c.Writer, control: http.NewResponseController(httpedge.BareWriter(c.Writer))}
}

// open sends the headers, which tell proxies not to gather.
func (s *sse) open() {
	s.opened = true
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
}

// put writes events in one go, and the headers before the first.
func (s *sse) put(frames []frame) error {
	if !s.opened {
		s.open()
	}
	b := s.buffer[:0]
	for _, f := range frames {
		if f.event != "" {
			b = append(append(append(b, "event: "...), f.event...), '\n')
		}
		b = append(append(append(b, "data: "...), f.data...), "\n\n"...)
	}
	s.buffer = b
	return s.write(b)
}

// comment shows that the connection is alive, and whether it is.
func (s *sse) comment() error { return s.write([]byte(": \n\n")) }

func (s *sse) write(b []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}
