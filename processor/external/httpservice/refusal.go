package httpservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/ssrf"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
	"github.com/aiecs/tasklane/processor/provider/transport"
	"github.com/aiecs/tasklane/schemas"
)

const (
	maxRefusal      = 16 << 10
	shownRefusal    = 300
	refusalPatience = 500 * time.Millisecond // a status says enough without what comes after it
)

// again reports whether a status says that another try may go well.
func again(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// refused is what an answer leads to whose status is not 200. Its body may be a message error or retry, which says more
// than a status.
func (a *answer) refused(ctx context.Context) (any, error) {
	s, response := a.service, a.response
	late := time.AfterFunc(refusalPatience, func() { _ = response.Body.Close() })
	said, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal)) // as much as there is
	late.Stop()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if mediaType(response) == typeJSON {
		m, err := message.Parse(said)
		if err == nil && (m.Type == message.Error || m.Type == message.Retry) && (m.ID == "" || m.ID == a.id) {
			_, _, failure := a.attempt.Hear(ctx, m)
			return nil, failure
		}
	}
	err := errors.New("the service " + s.refusal(response, said))
	toAll := "the service " + s.refusal(response, nil) // what it says of this task is not for the users of others
	after := transport.RetryAfter(response.Header, time.Now())
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests:
		until := s.close(after, toAll)
		return nil, &processor.SnoozeError{Until: until, Waits: s.wait(schemas.WaitLimit, until, err.Error())}
	case again(status):
		if status == http.StatusServiceUnavailable && after > 0 {
			s.close(after, toAll)
		}
		return nil, processor.RetryAfter(err, after)
	}
	return nil, err
}

// refusal says what a status means, and what to do about it.
func (s *Service) refusal(response *http.Response, said []byte) string {
	status := response.StatusCode
	text := fmt.Sprintf("answered %d %s", status, http.StatusText(status))
	switch {
	case status/100 == 3:
		to, err := url.Parse(response.Header.Get("Location"))
		if err != nil {
			to = new(url.URL)
		}
		return s.clean(fmt.Sprintf("%s, a redirect to %.100q, which is not followed; give the URL that it leads to",
			text, to.Host))
	case status/100 == 2:
		text += "; answer 200 once the task is done"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		text += "; look at the token and headers that it is sent"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		text += "; the URL has to take tasks by POST"
	}
	if words := strings.TrimSpace(message.Cut(string(said), shownRefusal)); words != "" && !strings.HasPrefix(words, "<") {
		text += ": " + words
	}
	return s.clean(text)
}

// unanswered says why there is no answer, without the URL.
func (s *Service) unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r := ssrf.Refused(err); r != nil {
		return errors.New("the service may not be reached: " + r.Reason)
	}
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	return processor.Retryable(errors.New("the service at " + s.host + " cannot be reached: " + s.clean(err.Error())))
}
