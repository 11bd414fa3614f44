package socketio_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/engineio"
	"github.com/aiecs/tasklane/internal/engineio/engineiotest"
	"github.com/aiecs/tasklane/internal/socketio"
)

// strict is a client's application that checks that it is called as is promised: one call at a time, nothing of a
// namespace that it is not in, and nothing after Closed.
type strict struct {
	in     map[string]bool
	calls  int
	wrong  []string
	busy   bool
	closed chan error
}

func (c *strict) enter(what string) func() {
	if c.busy {
		c.wrong = append(c.wrong, what+" while another call is under way")
	}
	select {
	case err := <-c.closed:
		c.closed <- err
		c.wrong = append(c.wrong, what+" after the end")
	default:
	}
	c.busy = true
	c.calls++
	return func() { c.busy = false }
}

func (c *strict) Connect(s *socketio.Socket, _ jsontext.Value) error {
	defer c.enter("Connect")()
	if c.in[s.Namespace()] {
		c.wrong = append(c.wrong, "asked twice for "+s.Namespace())
	}
	if strings.HasPrefix(s.Namespace(), "/no") {
		return socketio.UnknownNamespace()
	}
	return nil
}

func (c *strict) Connected(s *socketio.Socket) error {
	defer c.enter("Connected")()
	c.in[s.Namespace()] = true
	return nil
}

func (c *strict) Event(s *socketio.Socket, e socketio.Received) error {
	defer c.enter("Event")()
	if !c.in[s.Namespace()] {
		c.wrong = append(c.wrong, "an event of "+s.Namespace()+", which the client is not in")
	}
	if e.Name == "" && len(e.Args) == 0 && e.ID == 0 {
		return nil
	}
	return s.Reply(s.Conn().Context(), e, e.Args...)
}

func (c *strict) Left(s *socketio.Socket) {
	defer c.enter("Left")()
	if !c.in[s.Namespace()] {
		c.wrong = append(c.wrong, "left "+s.Namespace()+", which the client was not in")
	}
	delete(c.in, s.Namespace())
}

func (c *strict) Closed(why error) {
	defer c.enter("Closed")()
	c.closed <- why
}

// drawPacket is a message of a client that knows the protocol, or not.
func drawPacket(t *rapid.T) string {
	namespace := rapid.SampledFrom([]string{"", "/a,", "/b,", "/no,"}).Draw(t, "namespace")
	return rapid.OneOf(
		rapid.Just("40"+namespace),
		rapid.Just("40"+namespace+`{"token":"t"}`),
		rapid.Just("41"+namespace),
		rapid.Just("42"+namespace+`["say",1]`),
		rapid.Just("42"+namespace+`7["ask",{"a":[]}]`),
		rapid.Just("43"+namespace+`7[]`),
		rapid.Just("451-"+namespace+`["send",{"_placeholder":true,"num":0}]`),
		rapid.Just("binary"),
		rapid.Custom(func(t *rapid.T) string { return "4" + rapid.StringN(0, 12, 40).Draw(t, "noise") }),
	).Draw(t, "packet")
}

// However a client behaves, its application is called as is promised and hears of the end exactly once; what is against
// the rules ends the connection with the reason for it.
func TestAnyClient(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		packets := rapid.SliceOfN(rapid.Custom(drawPacket), 1, 15).Draw(rt, "packets")
		polling := rapid.Bool().Draw(rt, "polling")
		var wrong string
		synctest.Test(t, func(t *testing.T) { wrong = converse(t, packets, polling) })
		if wrong != "" {
			rt.Fatalf("%q: %s", packets, wrong)
		}
	})
}

func converse(t *testing.T, packets []string, polling bool) string {
	c := &strict{in: make(map[string]bool), closed: make(chan error, 10)}
	server := socketio.New(socketio.Config{
		Engine: engineio.Config{MaxPayload: 1000, PingInterval: 5 * time.Second, PingTimeout: time.Second},
		Open:   func(*engineio.Conn, *http.Request) (socketio.Client, error) { return c, nil },
	})
	t.Cleanup(func() { server.Close(0) })
	s := engineiotest.Serve(t, server)
	if polling {
		k := s.Open(path)
		for _, packet := range packets {
			if packet == "binary" {
				packet = "bAQID"
			}
			if status, _ := k.Post(packet); status != http.StatusOK {
				break
			}
		}
	} else {
		k := s.OpenSocket(path)
		for _, packet := range packets {
			kind := websocket.TextMessage
			if packet == "binary" {
				kind = websocket.BinaryMessage
			}
			if k.WriteMessage(kind, []byte(packet)) != nil {
				break
			}
		}
		go func() { // answers, which nobody looks at
			for {
				if _, _, err := k.ReadMessage(); err != nil {
					return
				}
			}
		}()
	}
	<-time.After(time.Minute) // nobody answers the ping
	synctest.Wait()
	if len(c.closed) != 1 {
		return fmt.Sprintf("told %d times that it is over", len(c.closed))
	}
	why := <-c.closed
	known := []error{
		engineio.ErrGone, engineio.ErrSilent, engineio.ErrProtocol, engineio.ErrTooBig, engineio.ErrSlow,
		socketio.ErrPacket, socketio.ErrState, socketio.ErrNoConnect,
	}
	for _, err := range known {
		if errors.Is(why, err) {
			return strings.Join(c.wrong, "; ")
		}
	}
	return fmt.Sprintf("ended with %v, which is no reason that is promised", why)
}

// A client that connects to nothing is given its time and not more, whatever else it says to stay.
func TestNoNamespaceInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guest{told: make(chan string, 100), closed: make(chan error, 2)}
		server := socketio.New(socketio.Config{
			Open:           func(*engineio.Conn, *http.Request) (socketio.Client, error) { return g, nil },
			ConnectTimeout: 3 * time.Second,
		})
		t.Cleanup(func() { server.Close(0) })
		k := engineiotest.Serve(t, server).OpenSocket(path)
		began := time.Now()
		done := make(chan struct{})
		defer close(done)
		go func() {
			for {
				select {
				case <-time.After(rand.N(time.Second)):
					_ = k.WriteMessage(websocket.TextMessage, []byte("3")) // it may be over
				case <-done:
					return
				}
			}
		}()
		if code, _ := k.Closed(); code != 1008 {
			t.Errorf("closed with %d", code)
		}
		if why := <-g.closed; !errors.Is(why, socketio.ErrNoConnect) || time.Since(began) != 3*time.Second {
			t.Errorf("ended with %v after %v", why, time.Since(began))
		}
	})
}
