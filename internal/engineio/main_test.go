package engineio_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/engineio"
	"github.com/aiecs/tasklane/internal/engineio/engineiotest"
	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

const path = "/engine.io/"

// world is a server in memory, in a bubble of its own time.
type world struct {
	*engineiotest.Server

	engine *engineio.Server
	// clients are in the order in which they came.
	clients []*ear
	// accept, if set, may refuse a client; hear may refuse what it says.
	accept func(*http.Request) error
	hear   func(*ear, engineio.Message) error
}

// inMemory runs a test; change may adjust the configuration.
func inMemory(t *testing.T, cfg engineio.Config, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := new(world)
		cfg.Accept = func(c *engineio.Conn, r *http.Request) (engineio.Listener, error) {
			if w.accept != nil {
				if err := w.accept(r); err != nil {
					return nil, err
				}
			}
			e := &ear{w: w, conn: c, closed: make(chan error, 2)}
			w.clients = append(w.clients, e)
			return e, nil
		}
		w.engine = engineio.New(cfg)
		t.Cleanup(func() { w.engine.Close(0) })
		w.Server = engineiotest.Serve(t, w.engine)
		test(t, w)
	})
}

// last is the client that came last.
func (w *world) last() *ear { return w.clients[len(w.clients)-1] }

// ear notes what a client says.
type ear struct {
	w    *world
	conn *engineio.Conn
	mu   sync.Mutex
	said []string
	// closed gets every call of Closed.
	closed chan error
}

func (e *ear) Message(m engineio.Message) error {
	text := string(m.Data)
	if m.Binary {
		text = "binary " + text
	}
	e.mu.Lock()
	e.said = append(e.said, text)
	e.mu.Unlock()
	if e.w.hear != nil {
		return e.w.hear(e, m)
	}
	return nil
}

// heard is all messages so far.
func (e *ear) heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.said, " ")
}

func (e *ear) Closed(why error) { e.closed <- why }

// send sends texts, or fails the test.
func (e *ear) send(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := e.conn.Send(t.Context(), engineio.Message{Data: []byte(text)}); err != nil {
			t.Fatalf("send %q: %v", text, err)
		}
	}
}

// over waits until the connection has ended, and expects to be told once.
func (e *ear) over(t *testing.T) error {
	t.Helper()
	why := <-e.closed
	<-time.After(time.Minute)
	select {
	case again := <-e.closed:
		t.Errorf("closed twice: %v and %v", why, again)
	default:
	}
	return why
}
