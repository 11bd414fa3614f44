// Command echo answers Engine.IO clients on /engine.io/ and Socket.IO clients on
// /socket.io/ with what they say, in the way that the protocols' own test suites
// ask of a server. It is for running those suites by hand:
//
//	go run ./scripts/clients/echo
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/engineio"
	"github.com/aiecs/tasklane/internal/socketio"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3000", "where to listen; the suites want port 3000")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, *addr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// suiteConfig is what the suites expect of the server.
func suiteConfig() engineio.Config {
	return engineio.Config{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond,
		MaxPayload: 1_000_000}
}

// servers is both, each on its path.
type servers struct {
	http.Handler

	engine, sockets *engineio.Server
}

func newServers() servers {
	config := suiteConfig()
	config.Accept = func(c *engineio.Conn, _ *http.Request) (engineio.Listener, error) { return echo{c}, nil }
	mux := http.NewServeMux()
	s := servers{
		Handler: mux,
		engine:  engineio.New(config),
		sockets: socketio.New(socketio.Config{
			// More than the 900 ms for which the suite polls without connecting.
			Engine: suiteConfig(), ConnectTimeout: 1500 * time.Millisecond,
			Open: func(*engineio.Conn, *http.Request) (socketio.Client, error) {
				return &guest{auth: map[string]jsontext.Value{}}, nil
			},
		}),
	}
	mux.Handle("/engine.io/", s.engine)
	mux.Handle("/socket.io/", s.sockets)
	return s
}

func (s servers) close() {
	s.engine.Close(0)
	s.sockets.Close(0)
}

func serve(ctx context.Context, addr string) error {
	both := newServers()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	server := &http.Server{Handler: both, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() {
		both.close()
		_ = server.Close() // what is left is idle
	})
	fmt.Println("echo listens on", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// echo sends every message back.
type echo struct{ conn *engineio.Conn }

func (e echo) Message(m engineio.Message) error { return e.conn.Send(e.conn.Context(), m) }

func (e echo) Closed(error) {}

// guest is a Socket.IO client of the suite.
type guest struct{ auth map[string]jsontext.Value }

func (g *guest) Connect(s *socketio.Socket, auth jsontext.Value) error {
	if s.Namespace() != socketio.Root && s.Namespace() != "/custom" {
		return socketio.UnknownNamespace()
	}
	if auth == nil {
		auth = jsontext.Value("{}")
	}
	g.auth[s.Namespace()] = auth
	return nil
}

// Connected says what the client gave, a little later: the suite waits for one
// message at a time and misses one that comes in the same read as the last.
func (g *guest) Connected(s *socketio.Socket) error {
	auth := g.auth[s.Namespace()]
	time.AfterFunc(30*time.Millisecond, func() { _ = s.Emit(s.Conn().Context(), "auth", auth) })
	return nil
}

func (g *guest) Event(s *socketio.Socket, e socketio.Received) error {
	p := socketio.Packet{ID: socketio.NoID, Attachments: e.Attachments}
	switch e.Name {
	case "message":
		p.Type, p.Data = socketio.Event, array(append([]jsontext.Value{jsontext.Value(`"message-back"`)}, e.Args...))
		if len(e.Attachments) > 0 {
			p.Type = socketio.BinaryEvent
		}
	case "message-with-ack":
		p.Type, p.ID, p.Data = socketio.Ack, e.ID, array(e.Args)
		if len(e.Attachments) > 0 {
			p.Type = socketio.BinaryAck
		}
	default:
		return nil
	}
	return s.Send(s.Conn().Context(), p)
}

func (g *guest) Left(*socketio.Socket) {}

func (g *guest) Closed(error) {}

func array(values []jsontext.Value) jsontext.Value {
	all := jsontext.Value("[")
	for i, v := range values {
		if i > 0 {
			all = append(all, ',')
		}
		all = append(all, v...)
	}
	return append(all, ']')
}
