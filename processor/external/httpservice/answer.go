package httpservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
)

// Media types of answers.
const (
	typeJSON   = "application/json"
	typeEvents = "text/event-stream"
)

func mediaType(r *http.Response) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // "" for what cannot be read
	return kind
}

// answer is what the service answers to an attempt.
type answer struct {
	service  *Service
	response *http.Response
	id       string
	attempt  message.Attempt
	lost     error // why a task could not be submitted
}

// hear follows the answer to its last word.
func (a *answer) hear(ctx context.Context) (any, error) {
	a.attempt.Submitted = func(s message.Submitted) { a.lost = s.Err }
	if a.response.StatusCode != http.StatusOK {
		return a.refused(ctx)
	}
	a.service.works()
	if coding := a.response.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, fmt.Errorf("the service answered with Content-Encoding %.40q, which it was not asked for; "+
			"send the answer as it is", coding)
	}
	body := &bounded{from: a.response.Body, left: a.service.config.MaxAnswer}
	var next func() (line []byte, long bool, err error)
	switch kind := mediaType(a.response); kind {
	case typeJSON:
		next = document(body)
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		next = lines(body)
	case typeEvents:
		next = events(body)
	default:
		return nil, fmt.Errorf("the service answered with Content-Type %.60q; it has to be application/json, "+
			"application/x-ndjson or text/event-stream", kind)
	}
	return a.follow(ctx, next)
}

// follow takes messages one by one.
func (a *answer) follow(ctx context.Context, next func() ([]byte, bool, error)) (any, error) {
	for {
		line, long, end := next()
		a.attempt.Context.Heartbeat()
		if long {
			return nil, errors.New("the service answered with a message of more than 1 MiB; " +
				"return less, or write the result in pieces with output")
		}
		if len(line) > 0 && (end == nil || errors.Is(end, io.EOF)) { // else its rest is missing
			if over, result, err := a.take(ctx, line); over {
				return result, err
			}
		}
		switch {
		case end == nil:
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(end, errTooMuch):
			return nil, fmt.Errorf("the service's answer has more than %d bytes (max_answer)", a.service.config.MaxAnswer)
		case errors.Is(end, io.EOF):
			return nil, processor.Retryable(errors.New("the service's answer ended without a last word; " +
				"end it with a message result, error or retry"))
		default:
			return nil, processor.Retryable(fmt.Errorf("the service's answer broke off: %s", a.service.clean(end.Error())))
		}
	}
}

// take takes a message.
func (a *answer) take(ctx context.Context, line []byte) (over bool, result any, err error) {
	m, err := message.Parse(line)
	switch {
	case err != nil:
		return true, nil, fmt.Errorf("the service's answer cannot be read: %w; messages are JSON objects with a type",
			err)
	case m.Type == "":
		return true, nil, fmt.Errorf(`the service answered %.80q, which has no type; `+
			`answer {"type":"result","result":…}`, line)
	case m.ID != "" && m.ID != a.id:
		return true, nil, fmt.Errorf("the service sent %.40s with the id %.40q, which is another task's; "+
			"answer with the id of the request, or with none", m.Type, m.ID)
	}
	over, result, err = a.attempt.Hear(ctx, m)
	if !over && a.lost != nil {
		// The service cannot be told, and would go on as if there were that task.
		return true, nil, processor.Retryable(fmt.Errorf("a task that the service submitted was not taken: %w", a.lost))
	}
	return over, result, err
}

// errTooMuch says that an answer is longer than may be.
var errTooMuch = errors.New("the answer is too long")

// bounded reads so many bytes at most.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooMuch
	}
	n, err := b.from.Read(p)
	b.left -= int64(n)
	return n, err //nolint:wrapcheck // a reader's
}
