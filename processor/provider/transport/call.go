package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Call is one call to a provider, and what became of it.
type Call struct {
	transport *Transport // nil of a call that nobody looks at
	streams   bool

	mu       sync.Mutex
	secrets  []string
	response *http.Response // the last one; its body is not to be touched
	failure  []byte         // the body, if the status is none of success
	at       time.Time      // when it came
	err      error          // how the connection broke, or the answer its bounds
	bytes    int64
}

// ExpectStream says, before anything is sent, that the answer is read as a stream whatever it calls itself.
func (c *Call) ExpectStream() { c.streams = true }

// sent notes that a request goes out, with these keys. It may be the next after a redirect.
func (c *Call) sent(secrets []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets = append(c.secrets, secrets...)
	c.response, c.failure, c.err = nil, nil, nil
}

func (c *Call) answered(response *http.Response, failure []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.response, c.failure, c.at = response, failure, time.Now()
}

func (c *Call) broke(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *Call) received(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += int64(n)
}

// Broke is how the context ended, the connection broke, or the provider refused; nil if none of them. Not every SDK
// takes a redirect for a refusal.
func (c *Call) Broke(ctx context.Context) error {
	c.mu.Lock()
	broke := c.err != nil || c.response != nil && c.response.StatusCode/100 != 2
	c.mu.Unlock()
	if ctx.Err() != nil || broke {
		return c.Err(ctx, nil)
	}
	return nil
}

// Explain is err as a [*provider.Error] if it is [ErrMalformed]; any other is the caller's own, and nil stays nil.
func (c *Call) Explain(ctx context.Context, err error) error {
	if errors.Is(err, ErrMalformed) {
		return c.Err(ctx, err)
	}
	return err
}

// Header is the answer's, nil if there was none.
func (c *Call) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.response == nil {
		return nil
	}
	return c.response.Header
}

// Clean is a provider's text as it may be shown, without secrets and not too long.
func (c *Call) Clean(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.transport.secret
	others := slices.DeleteFunc(slices.Clone(c.secrets), func(s string) bool {
		return known != nil && known.ReplaceAllLiteralString(s, "") == ""
	})
	return clean(text, known, hide(others))
}

// Succeeded reports whether the answer's status is one of success.
func (c *Call) Succeeded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.response != nil && c.response.StatusCode/100 == 2
}

// Answer takes what a provider answers, as it comes.
type Answer interface {
	// Event takes the data of a stream's next event, and reports whether it was the last.
	Event(data []byte) (last bool, err error)
	// Document takes an answer that was not streamed.
	Document(data []byte) error
	// Whole reports whether all has come though a stream ended, in order, without its end mark.
	Whole() bool
}

// Events reads the events of a stream: next gives the data of one at a time, until there is none.
type Events func(*http.Response) (next func() (data []byte, ok bool))

// Read gives a response to into, to its end, and closes it. An event without data is passed over. What is no UTF-8 is
// replaced: some servers cut their tokens in the middle of a character.
func (c *Call) Read(ctx context.Context, response *http.Response, events Events, into Answer) error {
	defer Finish(response.Body)
	if broke := c.Broke(ctx); broke != nil {
		return broke
	}
	if !IsStream(response) {
		data, _ := io.ReadAll(response.Body) // the call knows what was wrong
		if broke := c.Broke(ctx); broke != nil {
			return broke
		}
		return c.Explain(ctx, into.Document(bytes.ToValidUTF8(data, replaced)))
	}
	next := events(response)
	for data, ok := next(); ok; data, ok = next() {
		if data = bytes.TrimSpace(data); len(data) == 0 {
			continue
		}
		last, err := into.Event(bytes.ToValidUTF8(data, replaced))
		if err != nil || last {
			return c.Explain(ctx, err)
		}
	}
	if broke := c.Broke(ctx); broke != nil {
		return broke
	}
	if into.Whole() {
		return nil
	}
	return c.Unended()
}

// replaced stands for bytes that are no UTF-8.
var replaced = []byte("\uFFFD")
