package providertest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aiecs/tasklane/processor/provider"
	. "github.com/aiecs/tasklane/processor/provider/providertest"
)

// wireFault is what goes wrong below the protocol.
type wireFault struct {
	name string
	// answer is played in the place of a good one, which it is given.
	answer func(t *testing.T, w http.ResponseWriter, good []byte)
	kind   provider.Kind // "" is an answer
	code   string
}

func wireFaults() []wireFault {
	raw := func(bytes func(good []byte) string) func(*testing.T, http.ResponseWriter, []byte) {
		return func(t *testing.T, w http.ResponseWriter, good []byte) {
			conn := hijack(t, w)
			_, _ = io.WriteString(conn, bytes(good))
			_ = conn.Close()
		}
	}
	encoded := func(encoding string, body func(good []byte) []byte) func(*testing.T, http.ResponseWriter, []byte) {
		return func(_ *testing.T, w http.ResponseWriter, good []byte) {
			w.Header().Set("Content-Encoding", encoding)
			_, _ = w.Write(body(good))
		}
	}
	return []wireFault{
		{name: "gzip", answer: encoded("gzip", zipped)},
		{name: "gzip that is cut", answer: encoded("gzip", func(good []byte) []byte {
			b := zipped(good)
			return b[:len(b)*2/3]
		}), kind: provider.Cut},
		{name: "gzip that is none", answer: encoded("gzip", func(good []byte) []byte { return good }), kind: provider.Cut},
		{name: "a gzip bomb", answer: encoded("gzip", func([]byte) []byte { return bomb() }),
			kind: provider.BadRequest, code: "answer_too_large"},
		{name: "an encoding that nobody asked for", kind: provider.Cut,
			answer: encoded("br", func([]byte) []byte { return []byte("\x0b\x02\x80") })},
		{name: "a longer Content-Length", answer: raw(func(good []byte) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
				len(good)+10, good)
		}), kind: provider.Cut, code: "connection_lost"},
		{name: "a shorter Content-Length", answer: raw(func(good []byte) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(good)/2, good)
		}), kind: provider.Cut},
		{name: "two Content-Lengths", answer: raw(func(good []byte) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: %d\r\n\r\n%s", len(good), good)
		}), kind: provider.Network},
		{name: "a chunk that is cut", answer: raw(func(good []byte) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s",
				len(good)+1, good)
		}), kind: provider.Cut, code: "connection_lost"},
		{name: "no HTTP", answer: raw(func([]byte) string { return "SSH-2.0-OpenSSH_9.6\r\n" }), kind: provider.Network},
		{name: "nothing", answer: raw(func([]byte) string { return "" }), kind: provider.Network},
		{name: "no content", answer: func(_ *testing.T, w http.ResponseWriter, _ []byte) {
			w.WriteHeader(http.StatusNoContent)
		}, kind: provider.Cut},
		{name: "an empty answer", answer: func(*testing.T, http.ResponseWriter, []byte) {}, kind: provider.Cut},
		{name: "a status that is none", answer: raw(func([]byte) string {
			return "HTTP/1.1 999 What\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
		}), kind: provider.Overloaded},
		{name: "a redirect to nowhere", answer: raw(func([]byte) string {
			return "HTTP/1.1 307 Temporary Redirect\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
		}), kind: provider.BadRequest},
		{name: "a header too large", answer: raw(func([]byte) string {
			return "HTTP/1.1 200 OK\r\nX-Large: " + strings.Repeat("x", 1<<20) + "\r\n\r\n{}"
		}), kind: provider.Network},
		{name: "endless headers", answer: endless(func(i int) string { return fmt.Sprintf("X-%d: more\r\n", i) }),
			kind: provider.Network},
		{name: "endless hints", answer: func(t *testing.T, w http.ResponseWriter, _ []byte) {
			conn := hijack(t, w)
			defer conn.Close()
			for {
				if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"); err != nil {
					return
				}
			}
		}, kind: provider.Network},
	}
}

// endless sends lines of a header until the client has gone.
func endless(line func(i int) string) func(*testing.T, http.ResponseWriter, []byte) {
	return func(t *testing.T, w http.ResponseWriter, _ []byte) {
		conn := hijack(t, w)
		defer conn.Close()
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for i := 0; err == nil; i++ {
			_, err = io.WriteString(conn, line(i))
		}
	}
}

func hijack(t *testing.T, w http.ResponseWriter) net.Conn {
	t.Helper()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		panic(http.ErrAbortHandler)
	}
	return conn
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

// bomb is small, and much when it is unpacked.
var bomb = sync.OnceValue(func() []byte { return zipped(bytes.Repeat([]byte(" "), 16<<20)) })

// wire is a server that answers as it is told, in the place of a fake that it could ask.
type wire struct {
	url      string
	requests atomic.Int64
	fault    atomic.Pointer[wireFault]
	good     func(r *http.Request) []byte
}

func startWire(t *testing.T) *wire {
	w := &wire{good: func(r *http.Request) []byte {
		recorder := httptest.NewRecorder()
		New().ServeHTTP(recorder, r)
		return recorder.Body.Bytes()
	}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		good := w.good(r)
		w.fault.Load().answer(t, rw, good)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// TestFaultsOfTheWire: what goes wrong below the protocol is what it is, for every adapter, and nothing is asked twice.
func TestFaultsOfTheWire(t *testing.T) {
	noCredentials(t)
	for _, a := range adapters() { // a document is answered, whatever was asked for
		w := startWire(t)
		p := a.mustMake(t, setting{url: w.url, anonymous: true, maxBody: 1 << 20})
		for _, fault := range wireFaults() {
			before := w.requests.Load()
			w.fault.Store(&fault)
			got, _, err := Ask(t, p, question())
			var e *provider.Error
			errors.As(err, &e)
			switch {
			case fault.kind == "" && (err != nil || got.Text != "You said: one two"):
				t.Errorf("%s, %s: got %+v, %v", a.name, fault.name, got, err)
			case fault.kind != "" && (e == nil || e.Kind != fault.kind || fault.code != "" && e.Code != fault.code):
				t.Errorf("%s, %s: got %v (%+v), want %s", a.name, fault.name, err, e, fault.kind)
			}
			if asked := w.requests.Load() - before; asked != 1 {
				t.Errorf("%s, %s: asked %d times", a.name, fault.name, asked)
			}
		}
	}
}

// TestErrorsThatAreBombs: a refusal is read as far as matters, whatever it unpacks to.
func TestErrorsThatAreBombs(t *testing.T) {
	noCredentials(t)
	w := startWire(t)
	w.fault.Store(&wireFault{answer: func(_ *testing.T, rw http.ResponseWriter, _ []byte) {
		rw.Header().Set("Content-Encoding", "gzip")
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = rw.Write(bomb())
	}})
	for _, a := range adapters() {
		_, _, err := Ask(t, a.mustMake(t, setting{url: w.url, anonymous: true}), question())
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != provider.Overloaded || e.Status != 503 || len(e.Message) > 2000 {
			t.Errorf("%s: got %v", a.name, err)
		}
	}
}

// startHTTP2 is a fake behind TLS and HTTP/2, and what asks it.
func startHTTP2(t *testing.T, handler http.Handler) (url string, base *http.Transport) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	base, ok := server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	return server.URL, base
}

// TestHTTP2: a stream that is reset is cut, a context that ends resets one, and a connection that the server gives up
// (GOAWAY) costs no request: what it still answers is whole, and what it never took is asked over another.
func TestHTTP2(t *testing.T) {
	noCredentials(t)
	for _, a := range adapters() {
		fake := New()
		var requests atomic.Int64
		hangs, gone := make(chan struct{}), make(chan struct{})
		url, base := startHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			if r.ProtoMajor != 2 {
				t.Errorf("%s: asked by %s", a.name, r.Proto)
			}
			switch r.Header.Get("X-Do") {
			case "reset":
				w.Header().Set("Content-Type", "text/event-stream")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			case "hang":
				w.Header().Set("Content-Type", "text/event-stream")
				_ = http.NewResponseController(w).Flush()
				close(hangs)
				<-r.Context().Done()
				close(gone)
			case "goaway":
				w.Header().Set("Connection", "close") // the server's way to say GOAWAY
				fallthrough
			default:
				fake.ServeHTTP(w, r)
			}
		}))
		asks := func(do string) provider.Provider {
			return a.mustMake(t, setting{url: url, anonymous: true, base: base, headers: map[string]string{"X-Do": do}})
		}
		r := question()
		r.Stream = true
		for i, do := range []string{"goaway", "goaway", "none"} {
			if got, _, err := Ask(t, asks(do), r); err != nil || got.Text != "You said: one two" {
				t.Errorf("%s, %d: got %+v, %v", a.name, i, got, err)
			}
		}
		var e *provider.Error
		if _, _, err := Ask(t, asks("reset"), r); !errors.As(err, &e) || e.Kind != provider.Cut {
			t.Errorf("%s: reset: got %v", a.name, err)
		}
		if n := requests.Load(); n != 4 {
			t.Errorf("%s: asked %d times", a.name, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-hangs
			cancel()
		}()
		_, err := asks("hang").Complete(ctx, r, func(provider.Delta) error { return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: got %v", a.name, err)
		}
		<-gone
	}
}
