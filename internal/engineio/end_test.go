package engineio_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/aiecs/tasklane/internal/engineio"
)

var errEnough = errors.New("enough")

// The last words reach the client before it is told that it is over.
func TestLastWords(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		w.last().send(t, "a", "b")
		w.last().conn.End(time.Second, 4000, errEnough)
		if err := w.last().conn.Send(t.Context(), engineio.Message{}); !errors.Is(err, errEnough) {
			t.Errorf("send after the last words: %v", err)
		}
		k.Wants("4a\x1e4b")
		k.Gone()
		if why := w.last().over(t); !errors.Is(why, errEnough) {
			t.Errorf("ended with %v", why)
		}

		ws := w.OpenSocket(path)
		w.last().send(t, "a", "b")
		w.last().conn.End(time.Second, 4000, errEnough)
		ws.Wants("4a", "4b")
		if code, reason := ws.Closed(); code != 4000 || reason != "enough" {
			t.Errorf("closed with %d %q", code, reason)
		}

		k = w.Open(path)
		w.last().send(t, "never taken")
		begun := time.Now()
		w.last().conn.End(time.Second, 4000, errEnough)
		if why := <-w.last().closed; !errors.Is(why, errEnough) {
			t.Errorf("ended with %v", why)
		}
		if took := time.Since(begun); took != time.Second {
			t.Errorf("the last words waited for %v", took)
		}
		k.Gone()

		k = w.Open(path)
		w.last().send(t, "cut short")
		w.last().conn.End(time.Hour, 4000, errEnough)
		w.last().conn.End(0, 4001, engineio.ErrShutdown)
		if why := w.last().over(t); !errors.Is(why, engineio.ErrShutdown) {
			t.Errorf("ended with %v", why)
		}
		k.Gone()
	})
}

// A poll that waits when the connection ends is answered.
func TestEndWhilePolling(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		status := make(chan int)
		go func() {
			got, _ := k.Poll()
			status <- got
		}()
		synctest.Wait()
		w.last().conn.End(time.Second, 4000, errEnough)
		if got := <-status; got != http.StatusBadRequest {
			t.Errorf("the poll was answered %d", got)
		}
	})
}

func TestLongReason(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		ws := w.OpenSocket(path)
		w.last().conn.End(0, 4000, errors.New(strings.Repeat("é", 100)))
		if _, reason := ws.Closed(); !utf8.ValidString(reason) || utf8.RuneCountInString(reason) != 61 {
			t.Errorf("the reason is %q", reason)
		}
	})
}

func TestClientGoesAway(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		ws := w.OpenSocket(path)
		ws.Close()
		if why := w.last().over(t); !errors.Is(why, engineio.ErrGone) {
			t.Errorf("ended with %v", why)
		}
		k := w.Open(path)
		ctx, giveUp := context.WithTimeout(t.Context(), time.Second)
		defer giveUp()
		if _, _, err := w.Try(ctx, http.MethodGet, k.Target("polling"), http.NoBody); err == nil {
			t.Error("the poll was answered")
		}
		// What would be sent into that answer would be lost.
		if why := w.last().over(t); !errors.Is(why, engineio.ErrGone) {
			t.Errorf("ended with %v", why)
		}
		k.Gone()
	})
}

func TestListenerRefuses(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		w.hear = func(_ *ear, m engineio.Message) error {
			if string(m.Data) == "bad" {
				return errEnough
			}
			return nil
		}
		k := w.Open(path)
		if status, text := k.Post("4good\x1e4bad\x1e4after"); status != http.StatusBadRequest ||
			!strings.Contains(text, "enough") {
			t.Errorf("the post was answered %d %q", status, text)
		}
		if why := w.last().over(t); !errors.Is(why, errEnough) || w.last().heard() != "good bad" {
			t.Errorf("ended with %v after %q", why, w.last().heard())
		}
		ws := w.OpenSocket(path)
		ws.Says("4bad")
		if code, reason := ws.Closed(); code != 1008 || reason != "enough" {
			t.Errorf("closed with %d %q", code, reason)
		}
	})
}

// A client has one post at a time; while its message is heard the next waits.
func TestTwoPosts(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		goOn := make(chan struct{})
		w.hear = func(*ear, engineio.Message) error { <-goOn; return nil }
		k := w.Open(path)
		first := make(chan int)
		go func() {
			status, _ := k.Post("4a\x1e4b")
			first <- status
		}()
		synctest.Wait()
		if status, text := k.Post("4c"); status != http.StatusBadRequest || !strings.Contains(text, "post") {
			t.Errorf("the second post was answered %d %q", status, text)
		}
		close(goOn)
		if status := <-first; status != http.StatusBadRequest {
			t.Errorf("the first post was answered %d", status)
		}
		if why := w.last().over(t); !errors.Is(why, engineio.ErrProtocol) || w.last().heard() != "a" {
			t.Errorf("ended with %v after %q", why, w.last().heard())
		}
	})
}

func TestShutdown(t *testing.T) {
	inMemory(t, engineio.Config{}, func(t *testing.T, w *world) {
		k := w.Open(path)
		polled := w.last()
		polled.send(t, "last")
		ws := w.OpenSocket(path)
		socketed := w.last()
		if w.engine.Count(engineio.Polling) != 1 || w.engine.Count(engineio.WebSocket) != 1 {
			t.Error("the count is wrong")
		}
		closed, done := make(chan int, 1), make(chan struct{})
		go func() {
			code, _ := ws.Closed()
			closed <- code
		}()
		go func() {
			w.engine.Close(time.Second)
			close(done)
		}()
		k.Wants("4last")
		k.Gone()
		if code := <-closed; code != 1001 {
			t.Errorf("closed with %d", code)
		}
		<-done
		for _, e := range []*ear{polled, socketed} {
			if why := e.over(t); !errors.Is(why, engineio.ErrShutdown) {
				t.Errorf("ended with %v", why)
			}
		}
		if status, _ := w.Request(http.MethodGet, path+"?EIO=4&transport=polling",
			""); status != http.StatusServiceUnavailable {
			t.Errorf("a client that comes after the end was answered %d", status)
		}
	})
}
