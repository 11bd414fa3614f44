package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/listen"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
)

// Server gives tasks to workers that ask for them.
type Server struct {
	config   Config
	policy   *httpedge.Policy
	services []*service
	leases   *ledger
	bodies   *httpedge.Bodies
	held     atomic.Int64 // bytes of bodies that were read and are not taken yet
	ready    chan struct{}
	addr     string        // written before ready is closed
	stopping chan struct{} // closed when no more is waited for
}

const (
	// maxArriving is how many bytes of bodies are on their way together, maxHeld how many have come and are not taken.
	maxArriving = 64 << 20
	maxHeld     = 128 << 20
	// maxBody is the longest body: one message, and as many as are no longer together.
	maxBody = message.MaxLine
	// answerTime is how long a request may take as a whole, unless it says for itself; longer than any poll.
	answerTime = 2 * time.Minute
	// writeTime is how long a worker may take to read an answer.
	writeTime = 10 * time.Second
	// stopTime is how long answers may take when the server stops.
	stopTime = 5 * time.Second
)

// New makes a server that listens to nothing yet: see [Server.Run].
func New(c Config) (*Server, error) {
	c.setDefaults()
	policy, err := c.policy()
	if err != nil {
		return nil, fmt.Errorf("remote workers: %w", err)
	}
	s := &Server{
		config: c, policy: policy, leases: newLedger(), bodies: httpedge.NewBodies(maxArriving), ready: make(chan struct{}),
		stopping: make(chan struct{}),
	}
	names := map[string]bool{}
	for _, one := range c.Services {
		one.setDefaults()
		name := one.Mode + "/" + one.Name
		if err := one.validate(); err != nil {
			return nil, fmt.Errorf("remote service %s: %w", name, err)
		}
		if names[name] {
			return nil, fmt.Errorf("remote service %s: it is given twice", name)
		}
		names[name] = true
		s.services = append(s.services, newService(one, s.leases, c.Logger))
	}
	return s, nil
}

// Services are the services as processors have them.
func (s *Server) Services() []processor.Service {
	all := make([]processor.Service, 0, len(s.services))
	for _, one := range s.services {
		all = append(all, one.service())
	}
	return all
}

// Ready is closed when workers are answered.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr is the address that is listened on, once the server is ready.
func (s *Server) Addr() string { return s.addr }

// Run answers workers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.Addr)
	if err != nil {
		return fmt.Errorf("listen for workers: %w; choose another address with --worker-listen", err)
	}
	s.addr = socket.Addr().String()
	listener := listen.New(socket, listen.Config{
		Name: "--worker-listen", Limit: s.config.MaxConnections, Logger: s.config.Logger,
	})
	server := httpedge.NewServer(s.handler(), answerTime, s.config.Logger)
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		close(s.stopping)
		s.bodies.Drain()
		within, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if server.Shutdown(within) != nil {
			_ = server.Close()
		}
	})
	close(s.ready)
	err = listener.Serve(server)
	if !stop() {
		<-done
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve workers: %w", err)
	}
	return nil
}

func (s *Server) handler() http.Handler {
	return s.policy.Middleware(httpedge.Router{Routes: s.routes(), Help: help, Logger: s.config.Logger}.Engine())
}
