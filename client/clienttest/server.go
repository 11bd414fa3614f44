package clienttest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// Server is an API and a notifier on one address of this machine.
type Server struct {
	t      testing.TB
	http   *httptest.Server
	client *client.Client
	ctx    context.Context // ends with the server
	close  context.CancelFunc
	work   sync.WaitGroup // handlers and WebSockets
	grace  time.Duration  // of a cancelled task's handler

	mu       sync.Mutex
	handlers map[string]Handler
	lost     map[string]string // why tasks of a name are lost
	tasks    []*entry          // in the order of their submission
	history  []record
	changed  chan struct{}                 // closed and replaced with every event
	refusals []int                         // status codes of the next requests
	unseen   map[schemas.TaskKey]*EndError // tasks that were cancelled before they came
}

// entry is a task and what came of it.
type entry struct {
	task    *schemas.Task
	lane    string
	encoded jsontext.Value // as sent
	taken   time.Time
	first   int            // index of its first event in the history
	last    *schemas.Event // nil before the first

	duplicateOf string // the task by which it is a duplicate, "" if it is run

	lost    string                  // why nothing runs it, "" if it is not lost
	stopped *EndError               // why it was cancelled, nil if it was not
	cancel  context.CancelCauseFunc // its handler's context, nil before it runs
	grace   *time.Timer             // ends it without its handler; nil if it was not told to stop
}

// record is an event as it goes to clients.
type record struct {
	user, task string
	event      *schemas.Event
	encoded    []byte
}

// New starts a server that ends with the test. At its end the contexts of
// handlers end, and they are waited for.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, grace: cancelGrace, handlers: map[string]Handler{}, lost: map[string]string{},
		changed: make(chan struct{}),
		unseen:  map[schemas.TaskKey]*EndError{}}
	s.ctx, s.close = context.WithCancel(context.Background())
	s.http = httptest.NewServer(s.refusing(s.routes()))
	c, err := client.New(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	s.client = c
	t.Cleanup(s.shutDown)
	return s
}

func (s *Server) shutDown() {
	s.close()
	s.client.Close()
	s.http.Close()
	s.work.Wait()
}

// Config is for clients of this server.
func (s *Server) Config() client.Config {
	return client.Config{Server: s.http.URL, Notifier: "ws" + strings.TrimPrefix(s.http.URL, "http")}
}

// Client is a client of this server.
func (s *Server) Client() *client.Client { return s.client }

// Handle runs tasks of a name, in any service, with h. Tasks of a name that has
// no handler fail with the code unknown_service.
func (s *Server) Handle(taskName string, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[taskName] = h
	delete(s.lost, taskName)
}

// Tasks are the tasks that were submitted, in that order.
func (s *Server) Tasks() []schemas.Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]schemas.Task, len(s.tasks))
	for i, e := range s.tasks {
		all[i] = *e.task
	}
	return all
}

// Refuse answers the next requests with these status codes, one each, instead of
// what they ask for: 503 is a server that is down for a moment, 504 a broker
// that does not answer.
func (s *Server) Refuse(statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals = append(s.refusals, statuses...)
}

func (s *Server) refusing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		status := 0
		if len(s.refusals) > 0 {
			status, s.refusals = s.refusals[0], s.refusals[1:]
		}
		s.mu.Unlock()
		if status != 0 {
			refuse(w, problem{Status: status, Detail: "refused as the test wants"})
			return
		}
		next.ServeHTTP(w, r)
	})
}
