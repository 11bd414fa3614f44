package main

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/engineio/engineiotest"
)

// The cases of the Engine.IO protocol's test suite, in its order.

const engine = "/engine.io/"

func checkHandshake(t *testing.T, h engineiotest.Handshake, upgrades ...string) {
	t.Helper()
	if h.PingInterval != 300 || h.PingTimeout != 200 || h.MaxPayload != 1_000_000 || !slices.Equal(h.Upgrades, upgrades) {
		t.Errorf("handshake %+v", h)
	}
	if len(h.SID) < 22 {
		t.Errorf("the session id %q has fewer than 110 random bits", h.SID)
	}
}

func TestEngineHandshake(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		first, second := s.Open(engine), s.Open(engine)
		checkHandshake(t, first.Handshake, "websocket")
		if first.SID == second.SID {
			t.Error("two sessions have one id")
		}
		checkHandshake(t, s.OpenSocket(engine).Handshake)
		for _, query := range []string{"", "?transport=polling", "?EIO=abc&transport=polling", "?EIO=3&transport=polling",
			"?EIO=4", "?EIO=4&transport=abc"} {
			if status, text := s.Request(http.MethodGet, engine+query, ""); status != http.StatusBadRequest {
				t.Errorf("%q was answered %d %q", query, status, text)
			}
		}
		for _, query := range []string{"?transport=websocket", "?EIO=abc&transport=websocket", "?EIO=4",
			"?EIO=4&transport=abc"} {
			if _, status := s.Dial(engine + query); status != http.StatusBadRequest {
				t.Errorf("a WebSocket with %q was answered %d", query, status)
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			if status, _ := s.Request(method, engine+"?EIO=4&transport=polling", ""); status != http.StatusBadRequest {
				t.Errorf("a handshake with %s was answered %d", method, status)
			}
		}
	})
}

func TestEngineMessageOverPolling(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := s.Open(engine)
		for _, payload := range []string{"4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==",
			"4\x1eb\x1e4héllo €"} {
			k.Says(payload)
			k.Wants(payload)
		}
	})
}

func TestEngineInvalidPacketOverPolling(t *testing.T) {
	for name, payload := range map[string]string{
		"type": "abc", "none": "", "empty": "4a\x1e", "base64": "b!!!", "UTF-8": "4\xff", "open": "0", "ping": "2",
		"later": "4fine\x1eabc",
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(t *testing.T, s *engineiotest.Server) {
				k := s.Open(engine)
				if status, text := k.Post(payload); status != http.StatusBadRequest {
					t.Errorf("the post was answered %d %q", status, text)
				}
				k.Gone()
			})
		})
	}
}

// pollLater polls on a goroutine; the answer is what the function returns.
func pollLater(s *engineiotest.Server, k *engineiotest.Session) func() (int, string) {
	type answer struct {
		status int
		text   string
	}
	answers := make(chan answer, 1)
	go func() {
		status, text := k.Poll()
		answers <- answer{status, text}
	}()
	synctest.Wait() // until the poll waits
	return func() (int, string) {
		a := <-answers
		return a.status, a.text
	}
}

func TestEngineTwoPolls(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := s.Open(engine)
		first := pollLater(s, k)
		k.Gone()
		if status, text := first(); status != http.StatusOK || text != "1" {
			t.Errorf("the first poll was answered %d %q, want the close packet", status, text)
		}
		k.Gone()
	})
}

func TestEngineMessageOverWebSocket(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := s.OpenSocket(engine)
		k.Says("4hello")
		k.Wants("4hello")
		k.SaysBytes(1, 2, 3, 4)
		k.WantsBytes(1, 2, 3, 4)
		k.Says("bAQIDBA==") // a client without binary frames
		k.WantsBytes(1, 2, 3, 4)
		k.Says("abc")
		if code, _ := k.Closed(); code != 1008 {
			t.Errorf("an invalid packet was closed with %d", code)
		}
	})
}

func TestEngineHeartbeat(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		begun := time.Now()
		k := s.Open(engine)
		for range 3 {
			k.Wants("2")
			k.Says("3")
		}
		if took := time.Since(begun); took != 900*time.Millisecond {
			t.Errorf("three pings took %v", took)
		}
		<-time.After(500 * time.Millisecond) // the ping and its answer
		synctest.Wait()
		k.Gone()

		begun = time.Now()
		ws := s.OpenSocket(engine)
		for range 3 {
			ws.Wants("2")
			ws.Says("3")
		}
		code, reason := ws.Closed()
		if took := time.Since(begun); took != 1400*time.Millisecond || code != 1008 || reason == "" {
			t.Errorf("a silent client was closed after %v with %d %q", took, code, reason)
		}
	})
}

func TestEngineClose(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := s.Open(engine)
		poll := pollLater(s, k)
		k.Says("1")
		if status, text := poll(); status != http.StatusOK || text != "6" {
			t.Errorf("the poll was answered %d %q", status, text)
		}
		k.Gone()

		// The two may also come the other way round: they are on two connections.
		late := s.Open(engine)
		late.Says("1")
		late.Wants("6")
		late.Gone()

		ws := s.OpenSocket(engine)
		ws.Says("1")
		if code, _ := ws.Closed(); code != 1000 {
			t.Errorf("the WebSocket was closed with %d", code)
		}
	})
}

func TestEngineUpgrade(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := s.Open(engine)
		poll := pollLater(s, k)
		ws := k.Probed()
		if status, text := poll(); status != http.StatusOK || text != "6" {
			t.Errorf("the poll was answered %d %q", status, text)
		}
		k.Wants("6")
		ws.Says("5")
		ws.Says("4hello")
		ws.Wants("4hello")
		k.Gone() // as a poll; the WebSocket lives
		other := k.Probe()
		if code, _ := other.Closed(); code != 1008 {
			t.Errorf("a second WebSocket was closed with %d", code)
		}
		ws.Says("4still")
		ws.Wants("4still")
	})
}

// A client that does not wait for anything: what it still polls is in vain.
func TestEngineHastyUpgrade(t *testing.T) {
	inMemory(t, func(t *testing.T, s *engineiotest.Server) {
		k := s.Open(engine)
		poll := pollLater(s, k)
		ws := k.Probed()
		ws.Says("5")
		if status, text := poll(); status != http.StatusBadRequest {
			t.Errorf("the poll was answered %d %q", status, text)
		}
		k.Gone()
		ws.Says("4hello")
		ws.Wants("4hello")
	})
}
