package httpedge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxStreamTime is how long a body may take that is not kept in memory, and an answer of any length.
const maxStreamTime = time.Hour

// answerStep is how long a client may take to read a piece of an answer, 32 KiB or less.
const answerStep = time.Minute

// stream is a body that is read as it comes.
type stream struct {
	bodies            *Bodies
	one               *body
	from              io.Reader
	response          http.ResponseWriter
	limit, read       int64
	started, extended time.Time
}

// Stream is a request's body as it comes, decoded, of at most limit bytes, for those who do not keep it
// in memory. It has to come as fast as any other, though for up to an hour. Errors are those of
// [Bodies.Read]. It must be closed before the request is answered.
func (b *Bodies) Stream(w http.ResponseWriter, r *http.Request, sender string, limit int64) (io.ReadCloser, error) {
	zipped, err := isZipped(r.Header)
	if err == nil && r.ContentLength > limit {
		err = ErrTooLarge
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		w.Header().Set("Accept-Encoding", AcceptEncoding)
		return nil, err
	}
	s := &stream{bodies: b, one: b.begin(w, sender), from: r.Body, response: w, limit: limit, started: b.now()}
	switch {
	case r.Body == nil:
		s.from = http.NoBody
	case zipped:
		s.from = &unzip{from: io.LimitReader(r.Body, limit)}
	}
	return s, nil
}

// Read gives what has come.
func (s *stream) Read(p []byte) (int, error) {
	if now := s.bodies.now(); now.Sub(s.extended) >= deadlineSteps {
		s.extended = now
		earned := bodyGrace + time.Duration(s.read)*time.Second/minBodyRate
		s.bodies.extend(s.one, s.started.Add(min(earned, maxStreamTime)))
	}
	n, err := s.from.Read(p)
	s.read += int64(n)
	switch {
	case s.read > s.limit:
		err = ErrTooLarge
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		// What is left to be done takes as long as it does.
		_ = s.one.control.SetReadDeadline(time.Time{})
		return n, io.EOF
	case isTimeout(err):
		err = ErrTooSlow
	case !errors.Is(err, ErrNotEncoded):
		err = fmt.Errorf("%w: %w", errCutOff, err)
	}
	s.response.Header().Set("Connection", "close")
	return 0, err
}

// Close ends the body, and gives the answer as long as one has without it.
func (s *stream) Close() error {
	s.bodies.end(s.one)
	_ = s.one.control.SetWriteDeadline(s.bodies.now().Add(answerStep))
	return nil
}

// Steady is a response that may be of any length: the time limit of the server for an answer counts
// anew with every write, as long as all of it takes no more than an hour.
func Steady(w http.ResponseWriter) http.ResponseWriter {
	return &steady{ResponseWriter: w, control: http.NewResponseController(w), until: time.Now().Add(maxStreamTime)}
}

type steady struct {
	http.ResponseWriter
	control *http.ResponseController
	until   time.Time
}

// Write sends a piece.
func (s *steady) Write(p []byte) (int, error) {
	deadline := time.Now().Add(answerStep)
	if deadline.After(s.until) {
		deadline = s.until
	}
	_ = s.control.SetWriteDeadline(deadline) // writers that know no deadline are those of tests
	return s.ResponseWriter.Write(p)         //nolint:wrapcheck // it stands in for the response
}

// Unwrap is the response.
func (s *steady) Unwrap() http.ResponseWriter { return s.ResponseWriter }
