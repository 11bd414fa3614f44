package remote

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// patience is far longer than anything takes.
const patience = 2 * time.Minute

const anyTask = `{"type":"ready","protocol":1}`

// world is a server with workers' requests, and tasks for it.
type world struct {
	t      *testing.T
	server *Server
	log    *logtest.Buffer
	client *http.Client
	stop   func()
	drain  func() // ends the services, as a processor does before the server stops
}

// newWorld runs a server of the services, "test/one" if there are none.
func newWorld(t *testing.T, services ...ServiceConfig) *world {
	t.Helper()
	if len(services) == 0 {
		services = []ServiceConfig{{Mode: "test", Name: "one"}}
	}
	w := &world{t: t, log: new(logtest.Buffer), client: &http.Client{Transport: &http.Transport{}}}
	var err error
	w.server, err = New(Config{Addr: "127.0.0.1:0", Services: services, Logger: slog.New(slog.NewTextHandler(w.log,
		&slog.HandlerOptions{Level: slog.LevelDebug}))})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	background, end := context.WithCancel(context.Background())
	var running, serving sync.WaitGroup
	for _, s := range w.server.services {
		running.Go(func() {
			if err := s.run(background, processor.Cluster{}); err != nil {
				t.Error(err)
			}
		})
	}
	serving.Go(func() {
		if err := w.server.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	<-w.server.Ready()
	w.drain = sync.OnceFunc(func() { end(); running.Wait() })
	w.stop = sync.OnceFunc(func() { w.drain(); cancel(); serving.Wait(); w.client.CloseIdleConnections() })
	t.Cleanup(w.stop)
	w.until("the services run", func() bool {
		for _, s := range w.server.services {
			s.mu.Lock()
			at := s.at
			s.mu.Unlock()
			if at == nil {
				return false
			}
		}
		return true
	})
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for what must come.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !is(); {
		if time.Now().After(end) {
			w.t.Fatalf("in vain: %s", what)
		}
		pace.Sleep(w.t.Context(), time.Millisecond)
	}
}

// said is an answer.
type said struct {
	code   int
	header http.Header
	body   string
}

// id is that of the attempt which was given.
func (s said) id() string { return s.header.Get(headerAttempt) }

// expect fails the test unless the answer has the status and contains the texts.
func (s said) expect(t *testing.T, code int, texts ...string) said {
	t.Helper()
	if s.code != code {
		t.Errorf("answered %d %s, want %d", s.code, s.body, code)
	}
	for _, text := range texts {
		if !strings.Contains(s.body, text) {
			t.Errorf("answered %s, want %s", s.body, text)
		}
	}
	return s
}

// request is one of a worker's; headers come in pairs.
func (w *world) request(ctx context.Context, method, path string, body io.Reader, headers ...string) (said, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+w.server.Addr()+path, body)
	if err != nil {
		return said{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := w.client.Do(r)
	if err != nil {
		return said{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return said{response.StatusCode, response.Header, string(text)}, err
}

func (w *world) do(method, path, body string, headers ...string) said {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := w.request(ctx, method, path, strings.NewReader(body), headers...)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
	}
	return s
}

func (w *world) post(path, body string, headers ...string) said {
	w.t.Helper()
	return w.do(http.MethodPost, path, body, headers...)
}

// describe sends the ready message of a service that takes any task.
func (w *world) describe() { w.post("/v1/worker/ready", anyTask).expect(w.t, 200) }

// next asks for a task until there is one.
func (w *world) next(headers ...string) said {
	w.t.Helper()
	return w.do(http.MethodGet, "/v1/worker/next?wait=1m", "", headers...).expect(w.t, 200, `"type":"task"`)
}

// asked is a task that is run once.
type asked struct {
	name, id string
	user     string
	hard     time.Duration
	options  []processor.ContextOption
}

// outcome is what came of an attempt.
type outcome struct {
	result string
	err    error
	events []*schemas.Event
	beats  int64
}

// attempt is one that runs.
type attempt struct {
	end  context.CancelCauseFunc
	done chan outcome
}

// run runs a task of a service once it is let in.
func (w *world) run(a asked) *attempt { return w.runOf(w.server.services[0], a) }

func (w *world) runOf(s *service, a asked) *attempt {
	w.t.Helper()
	task := &schemas.Task{TaskID: a.id, UserID: a.user, TaskName: a.name, Mode: s.config.Mode, Service: s.config.Name,
		InputData: jsontext.Value(`{"n":1}`)}
	if a.id == "" {
		task.TaskID = "t"
	}
	if a.user == "" {
		task.UserID = "u"
	}
	if a.name == "" {
		task.TaskName = "x"
	}
	if a.hard == 0 {
		a.hard = time.Hour
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		var mu sync.Mutex
		var beats atomic.Int64
		grant := w.admit(s, task)
		at := time.Now().Add(a.hard)
		options := append([]processor.ContextOption{processor.WithDeadlines(at, at), processor.WithGrant(grant),
			processor.WithHeartbeat(func() { beats.Add(1) })}, a.options...)
		c := processor.NewContext(task, "fast", 1, func(_ context.Context, e *schemas.Event) error {
			mu.Lock()
			defer mu.Unlock()
			o.events = append(o.events, e)
			return nil
		}, options...)
		result, err := s.execute(ctx, c)
		grant.Release()
		value, _ := result.(jsontext.Value)
		o.result, o.err, o.beats = string(value), err, beats.Load()
		done <- o
	}()
	return &attempt{end: cancel, done: done}
}

// admit waits until a task is let in, as the queue does.
func (w *world) admit(s *service, task *schemas.Task) processor.Grant {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		g, wait := s.admit(task)
		if wait == nil {
			return g
		}
		pace.Sleep(context.Background(), min(time.Until(wait.Until), 5*time.Millisecond))
	}
	w.t.Error("the task was not let in")
	return &place{service: s, released: true}
}

// given is an attempt that a worker has, under its id.
func (w *world) given(a asked) (*attempt, said) {
	w.t.Helper()
	running := w.run(a)
	return running, w.next()
}

func path(s said, message string) string { return "/v1/worker/" + s.id() + "/" + message }

// assigned is a task as a worker reads it.
type assigned struct {
	Type    string        `json:"type"`
	ID      string        `json:"id"`
	Attempt int           `json:"attempt"`
	Limit   int64         `json:"time_limit_ms"`
	Task    *schemas.Task `json:"task"`
}

func (s said) task(t *testing.T) assigned {
	t.Helper()
	var a assigned
	must(t, json.Unmarshal([]byte(s.body), &a))
	return a
}
