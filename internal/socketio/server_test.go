package socketio_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/engineio"
	"github.com/aiecs/tasklane/internal/engineio/engineiotest"
	"github.com/aiecs/tasklane/internal/socketio"
)

const path = "/socket.io/"

var errBad = errors.New("bad event")

// guest notes what it is told, one word each.
type guest struct {
	refuse error
	told   chan string
	closed chan error
}

func (g *guest) Connect(s *socketio.Socket, auth jsontext.Value) error {
	g.told <- "connect " + s.Namespace() + string(auth)
	return g.refuse
}

func (g *guest) Connected(s *socketio.Socket) error {
	return s.Emit(s.Conn().Context(), "hi", jsontext.Value(`"`+s.Namespace()+`"`), jsontext.Value(`{}`))
}

func (g *guest) Event(s *socketio.Socket, e socketio.Received) error {
	args := make([]string, len(e.Args))
	for i, arg := range e.Args {
		args[i] = string(arg)
	}
	attachments := make([]string, len(e.Attachments))
	for i, bytes := range e.Attachments {
		attachments[i] = string(bytes)
	}
	g.told <- s.Namespace() + " " + e.Name + "(" + strings.Join(args, ",") + ")" + strings.Join(attachments, "+")
	switch e.Name {
	case "bad":
		return errBad
	case "leave":
		return s.Disconnect(s.Conn().Context())
	}
	return s.Reply(s.Conn().Context(), e, e.Args...)
}

func (g *guest) Left(s *socketio.Socket) { g.told <- "left " + s.Namespace() }

func (g *guest) Closed(why error) { g.closed <- why }

// inMemory runs a test with one guest.
func inMemory(t *testing.T, refuse error, test func(*testing.T, *guest, *engineiotest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &guest{refuse: refuse, told: make(chan string, 100), closed: make(chan error, 2)}
		server := socketio.New(socketio.Config{
			Engine: engineio.Config{MaxPayload: 1000}, ConnectTimeout: 3 * time.Second,
			Open: func(*engineio.Conn, *http.Request) (socketio.Client, error) { return g, nil },
		})
		t.Cleanup(func() { server.Close(0) })
		test(t, g, engineiotest.Serve(t, server))
	})
}

func (g *guest) wants(t *testing.T, words ...string) {
	t.Helper()
	synctest.Wait()
	for _, want := range words {
		if got := <-g.told; got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
}

// welcome reads the packet that accepts.
func welcome(t *testing.T, k *engineiotest.Socket, prefix string) {
	t.Helper()
	if _, text := k.Next(); !strings.HasPrefix(text, prefix+`{"sid":"`) {
		t.Fatalf("got %q, want the welcome %s", text, prefix)
	}
}

func TestNamespacesAreApart(t *testing.T) {
	inMemory(t, nil, func(t *testing.T, g *guest, s *engineiotest.Server) {
		k := s.OpenSocket(path)
		k.Says(`40{"user_id":"u"}`)
		welcome(t, k, "40")
		k.Wants(`42["hi","/",{}]`)
		k.Says(`40/other,`)
		welcome(t, k, "40/other,")
		k.Wants(`42/other,["hi","/other",{}]`)
		k.Says(`42/other,5["ask",1,[2]]`)
		k.Wants(`43/other,5[1,[2]]`)
		k.Says(`42["tell"]`)
		k.Says(`420["ask"]`)
		k.Wants(`430[]`)
		k.Says(`43/other,0["an answer that nobody asked for"]`)
		k.Says(`41/other,`)
		k.Says(`42["leave"]`)
		k.Wants(`41`)
		k.Says(`41`)
		g.wants(t, `connect /{"user_id":"u"}`, `connect /other`, `/other ask(1,[2])`, `/ tell()`, `/ ask()`, `left /other`,
			`/ leave()`, `left /`)
	})
}

func TestAttachments(t *testing.T) {
	inMemory(t, nil, func(t *testing.T, g *guest, s *engineiotest.Server) {
		k := s.OpenSocket(path)
		k.Says(`40`)
		welcome(t, k, "40")
		k.Wants(`42["hi","/",{}]`)
		k.Says(`452-["two",{"_placeholder":true,"num":1}]`)
		k.SaysBytes('a')
		k.SaysBytes('b', 'c')
		k.Says(`450-["none"]`)
		g.wants(t, "connect /", `/ two({"_placeholder":true,"num":1})a+bc`, "/ none()")
		k.SaysBytes('d')
		if code, reason := k.Closed(); code != 1008 || !strings.Contains(reason, "no attachment") {
			t.Errorf("closed with %d %q", code, reason)
		}
		if why := <-g.closed; !errors.Is(why, socketio.ErrState) {
			t.Errorf("ended with %v", why)
		}
	})
}

// However many attachments are announced, together they are bounded.
func TestAttachmentsAreBounded(t *testing.T) {
	inMemory(t, nil, func(t *testing.T, g *guest, s *engineiotest.Server) {
		k := s.OpenSocket(path)
		k.Says(`40`)
		welcome(t, k, "40")
		k.Wants(`42["hi","/",{}]`)
		k.Says(`4510-["many"]`)
		k.SaysBytes(make([]byte, 900)...)
		k.SaysBytes(make([]byte, 100)...)
		if code, reason := k.Closed(); code != 1008 || !strings.Contains(reason, "1000 bytes") {
			t.Errorf("closed with %d %q", code, reason)
		}
		if why := <-g.closed; !errors.Is(why, engineio.ErrTooBig) {
			t.Errorf("ended with %v", why)
		}
	})
}

func TestRefusedConnect(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&socketio.RefusalError{Message: "not you"}, `44{"message":"not you"}`},
		{&socketio.RefusalError{Message: "not you", Data: jsontext.Value(`{"status":401}`)},
			`44{"message":"not you","data":{"status":401}}`},
		{&socketio.RefusalError{Message: "not \xff"}, `44{"message":"refused"}`},
		{socketio.UnknownNamespace(), `44{"message":"Invalid namespace"}`},
		{errors.New("the secret of the house"), `44{"message":"internal error"}`},
	} {
		inMemory(t, tt.err, func(t *testing.T, g *guest, s *engineiotest.Server) {
			begun := time.Now()
			k := s.OpenSocket(path)
			k.Says("40")
			k.Wants(tt.want)
			k.Says("40")
			k.Wants(tt.want)
			if code, _ := k.Closed(); code != 1008 || time.Since(begun) != 3*time.Second {
				t.Errorf("closed with %d after %v", code, time.Since(begun))
			}
			if why := <-g.closed; !errors.Is(why, socketio.ErrNoConnect) {
				t.Errorf("ended with %v", why)
			}
		})
	}
}

func TestErrorOfEvent(t *testing.T) {
	inMemory(t, nil, func(t *testing.T, g *guest, s *engineiotest.Server) {
		k := s.OpenSocket(path)
		k.Says("40")
		welcome(t, k, "40")
		k.Wants(`42["hi","/",{}]`)
		k.Says(`42["bad"]`)
		if code, reason := k.Closed(); code != 1008 || reason != "bad event" {
			t.Errorf("closed with %d %q", code, reason)
		}
		if why := <-g.closed; !errors.Is(why, errBad) {
			t.Errorf("ended with %v", why)
		}
	})
}

func TestRefusedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := socketio.New(socketio.Config{Open: func(*engineio.Conn, *http.Request) (socketio.Client, error) {
			return nil, &engineio.RefusalError{Status: http.StatusServiceUnavailable, Title: "full", Detail: "Later."}
		}})
		t.Cleanup(func() { server.Close(0) })
		s := engineiotest.Serve(t, server)
		if status, text := s.Request(http.MethodGet, path+"?EIO=4&transport=polling",
			""); status != http.StatusServiceUnavailable {
			t.Errorf("answered %d %q", status, text)
		}
		if _, status := s.Dial(path + "?EIO=4&transport=websocket"); status != http.StatusServiceUnavailable {
			t.Errorf("a WebSocket was answered %d", status)
		}
	})
}

// Clients never come back by themselves after a connect_error, and always do when the
// connection ends.
func TestComeBackLater(t *testing.T) {
	inMemory(t, fmt.Errorf("%w: the log is being read", socketio.ErrLater),
		func(t *testing.T, g *guest, s *engineiotest.Server) {
			k := s.OpenSocket(path)
			k.Says("40")
			g.wants(t, "connect /")
			if code, _ := k.Closed(); code != 1013 {
				t.Errorf("closed with %d", code)
			}
			if why := <-g.closed; !errors.Is(why, socketio.ErrLater) {
				t.Errorf("closed: %v", why)
			}
		})
}
