package engineio_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/engineio"
)

func TestPayloadIsBounded(t *testing.T) {
	inMemory(t, engineio.Config{MaxPayload: 1000}, func(t *testing.T, w *world) {
		k := w.Open(path)
		if k.MaxPayload != 1000 {
			t.Errorf("the handshake says %d", k.MaxPayload)
		}
		most := "4" + strings.Repeat("x", 999)
		k.Says(most)
		status, text := k.Post(most + "x")
		if status != http.StatusRequestEntityTooLarge || !strings.Contains(text, "1000 bytes") {
			t.Errorf("the post was answered %d %q", status, text)
		}
		if why := w.last().over(t); !errors.Is(why, engineio.ErrTooBig) {
			t.Errorf("ended with %v", why)
		}
		k.Gone()

		ws := w.OpenSocket(path)
		ws.Says(most)
		// The server stops reading in the middle of it.
		go func() { _ = ws.WriteMessage(websocket.TextMessage, []byte(most+"x")) }()
		if code, _ := ws.Closed(); code != 1009 {
			t.Errorf("closed with %d", code)
		}
		if why := w.last().over(t); !errors.Is(why, engineio.ErrTooBig) || w.last().heard() != most[1:] {
			t.Errorf("ended with %v after %q", why, w.last().heard())
		}
	})
}

// What is wrong is told in the form of both a problem and the reference server.
func TestRefusals(t *testing.T) {
	inMemory(t, engineio.Config{MaxSessions: 2}, func(t *testing.T, w *world) {
		k := w.Open(path)
		w.OpenSocket(path)
		w.accept = func(r *http.Request) error {
			if r.URL.Query().Has("odd") {
				return errors.New("the secret of the house")
			}
			return &engineio.RefusalError{Status: http.StatusForbidden, Title: "not you", Detail: "Ask somebody."}
		}
		check := func(method, query string, status, code int, says string) {
			t.Helper()
			got, text := w.Request(method, path+query, "")
			var p struct {
				Type, Title, Detail, Message string
				Status, Code                 int
			}
			if err := json.Unmarshal([]byte(text), &p, json.MatchCaseInsensitiveNames(true)); err != nil {
				t.Fatalf("%q: %q: %v", query, text, err)
			}
			if got != status || p.Status != status || p.Code != code || p.Message != p.Title ||
				!strings.Contains(p.Title+": "+p.Detail, says) {
				t.Errorf("%s %q was answered %d %s, want %d with code %d that says %q", method, query, got, text, status, code,
					says)
			}
		}
		check("GET", "?EIO=4&transport=polling", 503, 3, "Try again later")
		w.last().conn.End(0, 1000, engineio.ErrGone)
		synctest.Wait() // its place is free
		check("GET", "?EIO=4&transport=polling", 403, 4, "Ask somebody")
		check("GET", "?EIO=4&transport=polling&odd=1", 500, 3, "could not be opened")
		check("GET", "?EIO=4&transport=carrier-pigeon", 400, 0, "polling or websocket")
		check("GET", "?EIO=3&transport=polling", 400, 5, "EIO must be 4")
		check("POST", "?EIO=4&transport=polling", 400, 2, "begins with a GET")
		check("GET", "?EIO=4&transport=polling&sid=none", 400, 1, "Connect again")
		check("GET", "?EIO=4&transport=polling&sid=", 400, 1, "Connect again")
		check("GET", "?EIO=4&transport=polling&j=0", 400, 3, "JSONP")
		check("PUT", strings.TrimPrefix(k.Target("polling"), path), 400, 3, "GET to receive")
		check("GET", strings.TrimPrefix(k.Target("websocket"), path), 400, 3, "handshake of a WebSocket")
		w.accept = nil
		w.Open(path) // the refused ones hold no places
		check("GET", "?EIO=4&transport=polling", 503, 3, "Try again later")
		if _, status := w.Dial(path + "?EIO=4&transport=websocket"); status != 503 {
			t.Errorf("a WebSocket too many was answered %d", status)
		}
	})
}

// A sender waits for a client that does not take what was sent.
func TestSendWaits(t *testing.T) {
	inMemory(t, engineio.Config{BufferBytes: 1000}, func(t *testing.T, w *world) {
		k := w.Open(path)
		e := w.last()
		big := strings.Repeat("x", 2000)
		e.send(t, big) // into an empty buffer anything fits
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.conn.Send(ctx, engineio.Message{Data: []byte("y")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("send to a full buffer: %v", err)
		}
		results := make(chan error, 3)
		for range cap(results) {
			go func() { results <- e.conn.Send(t.Context(), engineio.Message{Data: []byte("y")}) }()
		}
		synctest.Wait()
		select {
		case err := <-results:
			t.Fatalf("a sender does not wait: %v", err)
		default:
		}
		k.Wants("4" + big)
		for range cap(results) { // all that wait go on, though only one poll came
			if err := <-results; err != nil {
				t.Errorf("send: %v", err)
			}
		}
		k.Wants("4y\x1e4y\x1e4y")
		e.send(t, big)
		go func() { results <- e.conn.Send(t.Context(), engineio.Message{Data: []byte("z")}) }()
		synctest.Wait()
		e.conn.End(0, 1000, engineio.ErrShutdown)
		if err := <-results; !errors.Is(err, engineio.ErrShutdown) {
			t.Errorf("a sender that waits at the end: %v", err)
		}
		if err := e.conn.Send(t.Context(), engineio.Message{}); !errors.Is(err, engineio.ErrShutdown) {
			t.Errorf("send after the end: %v", err)
		}
	})
}

func TestSeparatorIsNotSent(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		w.Open(path)
		if err := w.last().conn.Send(t.Context(), engineio.Message{Data: []byte("a\x1eb")}); err == nil {
			t.Error("a text that a payload would take for two was sent")
		}
	})
}

// The Python client gives up at a payload of more than 16 packets.
func TestPollsAreShort(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		for range 20 {
			w.last().send(t, "x")
		}
		k.Wants(strings.Repeat("4x\x1e", 15) + "4x")
		k.Wants(strings.Repeat("4x\x1e", 3) + "4x")
	})
}

func TestClientThatDoesNotRead(t *testing.T) {
	inMemory(t, engineio.Config{BufferBytes: 1000, WriteTimeout: 3 * time.Second}, func(t *testing.T, w *world) {
		w.OpenSocket(path)
		e, begun := w.last(), time.Now()
		var err error
		for err == nil { // until the buffer is full, and then until the end
			err = e.conn.Send(t.Context(), engineio.Message{Data: make([]byte, 100)})
		}
		if took := time.Since(begun); !errors.Is(err, engineio.ErrSlow) || took != 3*time.Second {
			t.Errorf("the sender was told %v after %v", err, took)
		}
		if why := e.over(t); !errors.Is(why, engineio.ErrSlow) {
			t.Errorf("ended with %v", why)
		}
	})
}

// A write that nobody takes does not hold up the server's end.
func TestCloseWithClientThatDoesNotRead(t *testing.T) {
	inMemory(t, engineio.Config{WriteTimeout: time.Hour}, func(t *testing.T, w *world) {
		w.OpenSocket(path)
		w.last().send(t, "never read")
		synctest.Wait()
		begun := time.Now()
		w.engine.Close(0)
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("closing took %v", took)
		}
	})
}

func TestSlowBody(t *testing.T) {
	inMemory(t, engineio.Config{ReadTimeout: 3 * time.Second, PingInterval: time.Hour}, func(t *testing.T, w *world) {
		k := w.Open(path)
		body, rest := io.Pipe()
		defer func() { _ = rest.Close() }()
		go func() { _, _ = rest.Write([]byte("4half")) }()
		begun := time.Now()
		status, text, err := w.Try(t.Context(), http.MethodPost, k.Target("polling"), body)
		if err == nil && status != http.StatusBadRequest {
			t.Errorf("answered %d %q", status, text)
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("the end came after %v", took)
		}
		if why := w.last().over(t); !errors.Is(why, engineio.ErrGone) || w.last().heard() != "" {
			t.Errorf("ended with %v, and half a payload was heard: %q", why, w.last().heard())
		}
	})
}
