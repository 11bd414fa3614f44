package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// reply answers one request.
type reply func(w http.ResponseWriter, r *http.Request)

// fakeAPI answers its requests from a script; the last reply repeats.
type fakeAPI struct {
	mu       sync.Mutex
	script   []reply
	requests []recorded
}

type recorded struct {
	method, path string
	query        map[string][]string
	header       http.Header
	body         map[string]jsontext.Value
}

func newFakeAPI(script ...reply) *fakeAPI { return &fakeAPI{script: script} }

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	var body map[string]jsontext.Value
	_ = json.Unmarshal(data, &body)
	f.mu.Lock()
	f.requests = append(f.requests, recorded{r.Method, r.URL.Path, r.URL.Query(), r.Header, body})
	next := f.script[0]
	if len(f.script) > 1 {
		f.script = f.script[1:]
	}
	f.mu.Unlock()
	next(w, r)
}

func (f *fakeAPI) seen() []recorded {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]recorded(nil), f.requests...)
}

func (f *fakeAPI) start(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

func answerWith(status int, body string) reply {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func refuseWith(status int, retryAfter, body string) reply {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", retryAfter)
		answerWith(status, body)(w, r)
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// cutShort begins an answer and closes the connection within it.
func cutShort(w http.ResponseWriter, _ *http.Request) {
	conn, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = buffer.WriteString("HTTP/1.1 202 Accepted\r\nContent-Length: 500\r\n\r\n{\"task_id\":")
	_ = buffer.Flush()
	_ = conn.Close()
}
