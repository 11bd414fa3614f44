package providertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/aiecs/tasklane/processor/provider"
)

// Replay answers every request with the same bytes, without a network: what parsers are tried with. It is the Base of
// an adapter's options.
type Replay struct {
	Status int // 200 if not given
	Header http.Header
	Body   []byte
	// Err is how the body ends; in order if nil.
	Err error

	requests atomic.Int64
}

// Stream is a replay of a stream of events.
func Stream(body string) *Replay {
	return &Replay{Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: []byte(body)}
}

// Document is a replay of a JSON document.
func Document(body string) *Replay {
	return &Replay{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
}

// RoundTrip answers.
func (r *Replay) RoundTrip(request *http.Request) (*http.Response, error) {
	r.requests.Add(1)
	if request.Body != nil {
		_, _ = io.Copy(io.Discard, request.Body)
		_ = request.Body.Close()
	}
	var body io.Reader = bytes.NewReader(r.Body)
	if r.Err != nil {
		body = io.MultiReader(body, broken{r.Err})
	}
	response := &http.Response{StatusCode: r.Status, Header: r.Header.Clone(), Body: io.NopCloser(body), Request: request}
	if r.Status == 0 {
		response.StatusCode = http.StatusOK
	}
	if response.Header == nil {
		response.Header = make(http.Header)
	}
	return response, nil
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// Requests are how many came.
func (r *Replay) Requests() int { return int(r.requests.Load()) }

// Ask asks an adapter, and holds what it says against what is so whatever comes: no answer is anything but text, an
// error says what to do, and usage is possible.
func Ask(t testing.TB, p provider.Provider, r provider.Request) (result provider.Result, streamed string, err error) {
	t.Helper()
	var all strings.Builder
	result, err = p.Complete(context.Background(), r, func(d provider.Delta) error {
		all.WriteString(d.Text)
		return nil
	})
	var e *provider.Error
	switch {
	case err == nil:
	case !errors.As(err, &e):
		t.Errorf("an error that says nothing: %v", err)
	case e.Kind == "" || e.Message == "" || e.Provider != p.Name() || e.RetryAfter < 0 || !utf8.ValidString(e.Error()):
		t.Errorf("an error that says too little: %+v", e)
	}
	if u := result.Usage; u != nil && (u.Negative() || u.CachedTokens+u.CacheWriteTokens > u.InputTokens ||
		u.CacheWrite1hTokens > u.CacheWriteTokens || u.ReasoningTokens > u.OutputTokens) {
		t.Errorf("impossible usage: %+v", u)
	}
	if !utf8.ValidString(result.Text) || !utf8.ValidString(all.String()) {
		t.Errorf("no text: %q", result.Text)
	}
	return result, all.String(), err
}
