package httpedge

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

const patience = 60 * time.Second

// world is a server whose handler reads a body and says what came of it.
type world struct {
	t      *testing.T
	bodies *Bodies
	addr   string

	mu  sync.Mutex
	now time.Time // the clock of bodies, which only moves by hand
}

func newWorld(t *testing.T, room, limit int64) *world {
	t.Helper()
	w := &world{t: t, bodies: NewBodies(room), now: time.Now()}
	w.bodies.now = func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}
	server := NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := w.bodies.Read(rw, r, r.Header.Get("Sender"), limit)
		status := http.StatusOK
		switch {
		case errors.Is(err, ErrTooLarge):
			status = http.StatusRequestEntityTooLarge
		case errors.Is(err, ErrTooSlow):
			status = http.StatusRequestTimeout
		case errors.Is(err, ErrNoRoom):
			status = http.StatusServiceUnavailable
		case errors.Is(err, ErrEncoding):
			status = http.StatusUnsupportedMediaType
		case err != nil:
			status = http.StatusBadRequest
		}
		rw.WriteHeader(status)
		_, _ = fmt.Fprintf(rw, "%d", len(body))
	}), 0, slog.New(slog.DiscardHandler))
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	w.addr = listener.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sender is a client that sends as it likes.
type sender struct {
	net.Conn
	t      *testing.T
	answer *bufio.Reader
}

func (w *world) dial() *sender {
	w.t.Helper()
	conn, err := new(net.Dialer).DialContext(w.t.Context(), "tcp", w.addr)
	must(w.t, err)
	must(w.t, conn.SetDeadline(time.Now().Add(patience)))
	w.t.Cleanup(func() { _ = conn.Close() })
	return &sender{conn, w.t, bufio.NewReader(conn)}
}

// begin sends a request's header and the beginning of a chunked body.
func (w *world) begin(name, beginning string) *sender {
	w.t.Helper()
	s := w.dial()
	s.send("POST / HTTP/1.1\r\nHost: x\r\nSender: " + name + "\r\nTransfer-Encoding: chunked\r\n\r\n")
	s.chunk(beginning)
	return s
}

func (s *sender) send(text string) {
	s.t.Helper()
	_, err := io.WriteString(s, text)
	must(s.t, err)
}

func (s *sender) chunk(text string) {
	s.t.Helper()
	if text != "" {
		s.send(fmt.Sprintf("%x\r\n%s\r\n", len(text), text))
	}
}

func (s *sender) end() { s.t.Helper(); s.send("0\r\n\r\n") }

// answered is the status and body of the next answer.
func (s *sender) answered() (int, string) {
	s.t.Helper()
	res, err := http.ReadResponse(s.answer, nil)
	must(s.t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	must(s.t, err)
	return res.StatusCode, string(text)
}

func (s *sender) expect(status int, body string) {
	s.t.Helper()
	if got, text := s.answered(); got != status || text != body {
		s.t.Errorf("%d %q, want %d %q", got, text, status, body)
	}
}

// held waits until the bodies on their way hold n bytes.
func (w *world) held(sender string, n int64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for {
		w.bodies.mu.Lock()
		got := w.bodies.held[sender]
		w.bodies.mu.Unlock()
		if got >= n {
			return
		}
		if ctx.Err() != nil {
			w.t.Fatalf("%s holds %d bytes, want %d", sender, got, n)
		}
	}
}

func TestBodiesOfAllSizes(t *testing.T) {
	w := newWorld(t, 1<<20, 10_000)
	for _, size := range []int{0, 1, 4095, 4096, 4097, 9_999, 10_000} {
		s := w.begin("ada", strings.Repeat("x", size))
		s.end()
		s.expect(200, fmt.Sprint(size))
		known := w.dial() // twice on a connection
		for range 2 {
			known.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size,
				strings.Repeat("x", size)))
			known.expect(200, fmt.Sprint(size))
		}
	}
	s := w.begin("ada", strings.Repeat("x", 10_001))
	s.expect(413, "0")
	announced := w.dial()
	announced.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10001\r\n\r\n")
	announced.expect(413, "0") // without a byte having come
	cut := w.dial()
	cut.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nxx")
	must(t, cut.Conn.(*net.TCPConn).CloseWrite())
	cut.expect(400, "0")
	w.bodies.mu.Lock()
	defer w.bodies.mu.Unlock()
	if w.bodies.free != 1<<20 || len(w.bodies.held) != 0 || len(w.bodies.arriving) != 0 {
		t.Errorf("room is lost: %+v", w.bodies)
	}
}

// Bodies that have begun and bring nothing take no room from others, however many
// they are and however large they might become.
func TestSlowBodiesTakeNoRoom(t *testing.T) {
	w := newWorld(t, 1<<20, 1<<20)
	for range 60 {
		w.begin("ada", "x")
	}
	w.held("ada", 60*firstBuffer)
	quick := w.begin("bob", strings.Repeat("x", 500_000))
	quick.end()
	quick.expect(200, "500000")
}

// Where the room is used up, the sender that holds most loses its oldest body,
// and nobody else is touched.
func TestTheLargestSenderGivesWay(t *testing.T) {
	const room = 64 << 10
	w := newWorld(t, room, room-1)
	oldest := w.begin("ada", strings.Repeat("x", 20<<10))
	w.held("ada", 32<<10)
	small := w.begin("cid", "x")
	w.held("cid", firstBuffer)
	second := w.begin("ada", strings.Repeat("x", 9<<10))
	w.held("ada", 48<<10)
	quick := w.begin("bob", strings.Repeat("x", 16<<10))
	oldest.expect(503, "0")
	for s, want := range map[*sender]string{quick: "16384", small: "1", second: "9216"} {
		s.end()
		s.expect(200, want)
	}
}

// The same where all come from one sender, as behind a proxy.
func TestTheOldestBodyGivesWay(t *testing.T) {
	const room = 64 << 10
	w := newWorld(t, room, room-1)
	first := w.begin("ada", strings.Repeat("x", 20<<10))
	w.held("ada", 32<<10)
	second := w.begin("ada", strings.Repeat("x", 9<<10))
	w.held("ada", 48<<10)
	third := w.begin("ada", strings.Repeat("x", 30<<10))
	first.expect(503, "0")
	for s, want := range map[*sender]string{second: "9216", third: "30720"} {
		s.end()
		s.expect(200, want)
	}
}

func TestSlowBodyIsEnded(t *testing.T) {
	w := newWorld(t, 1<<20, 1<<20)
	w.now = time.Now().Add(-bodyGrace) // its grace is over when it begins
	s := w.begin("ada", "x")
	s.expect(408, "0")
	if _, err := s.answer.ReadByte(); err == nil || isTimeout(err) { // an end, or a reset if something was not read
		t.Errorf("the connection goes on: %v", err)
	}
}

func TestDeadlines(t *testing.T) {
	start := time.Now()
	for n, want := range map[int]time.Duration{0: 10 * time.Second, 16 << 10: 11 * time.Second,
		160 << 10: 20 * time.Second, 10 << 20: time.Minute} {
		if got := deadline(start, n).Sub(start); got != want {
			t.Errorf("after %d bytes: %s, want %s", n, got, want)
		}
	}
}

// A stop does not wait for those who send slowly, also if they begin after it.
func TestDrainEndsSlowBodies(t *testing.T) {
	w := newWorld(t, 1<<20, 1<<20)
	before := w.begin("ada", "x")
	w.held("ada", firstBuffer)
	w.bodies.Drain()
	after := w.begin("bob", "x")
	quick := w.begin("cid", "x")
	quick.end()
	quick.expect(200, "1")
	before.expect(408, "0")
	after.expect(408, "0")
}

// Many at once, over each other's room: each body comes whole or not at all.
func TestManyBodies(t *testing.T) {
	w := newWorld(t, 256<<10, 100<<10)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			body := bytes.Repeat([]byte{'x'}, 1+i*2_500)
			req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.addr, bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Sender", fmt.Sprint(i%5))
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
			res, err := client.Do(req)
			if err != nil {
				return // cut off while it was sent
			}
			defer func() { _ = res.Body.Close() }()
			text, _ := io.ReadAll(res.Body)
			if res.StatusCode == http.StatusOK && string(text) != fmt.Sprint(len(body)) ||
				res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%d bytes: %d %s", len(body), res.StatusCode, text)
			}
		})
	}
	all.Wait()
	w.bodies.mu.Lock()
	defer w.bodies.mu.Unlock()
	if w.bodies.free != 256<<10 || len(w.bodies.held) != 0 || len(w.bodies.arriving) != 0 {
		t.Errorf("room is lost: %+v", w.bodies)
	}
}
