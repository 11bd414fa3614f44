package httpservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// patience is far longer than anything takes.
const patience = time.Minute

// served is a service at a server that answers as the test says, and is told of nothing else.
func served(t *testing.T, answer http.HandlerFunc, change func(*Config)) *Service {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c := Config{Mode: "test", Name: "http", URL: server.URL}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

// reported are the reports of an attempt.
type reported struct {
	mu    sync.Mutex
	all   []*schemas.Event
	beats atomic.Int64
}

func (r *reported) take(_ context.Context, e *schemas.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
	return nil
}

func ask(ctx context.Context, s *Service, name string, r *reported) (string, error) {
	task := &schemas.Task{TaskID: "t", UserID: "u", TaskName: name, Mode: "test", Service: "http",
		InputData: jsontext.Value(`{"n":1}`)}
	at := time.Now().Add(time.Hour)
	result, err := s.execute(ctx, processor.NewContext(task, "fast", 2, r.take, processor.WithDeadlines(at, at),
		processor.WithHeartbeat(func() { r.beats.Add(1) }),
		processor.WithTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")))
	value, _ := result.(jsontext.Value)
	return string(value), err
}

func say(w http.ResponseWriter, kind string, text ...string) {
	w.Header().Set("Content-Type", kind)
	for _, one := range text {
		_, _ = io.WriteString(w, one) // the test sees what comes
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}

// TestAnswers: the three forms of answers say the same, and the request is what the documents say.
func TestAnswers(t *testing.T) {
	const (
		progress = `{"type":"progress","current":1,"total":4,"unit":"pages","message":"page 1"}`
		output   = `{"type":"output","text":"Hel"}`
		log      = `{"type":"log","level":"warn","message":"odd"}`
		usage    = `{"type":"usage","usage":{"model":"m","input_tokens":3}}`
		result   = `{"type":"result","result":{"ok":true}}`
	)
	for kind, text := range map[string][]string{
		"application/json; charset=utf-8": {result[:10], result[10:]},
		"application/x-ndjson": {
			progress + "\n\n" + output[:5], output[5:] + "\r\n" + log + "\n" + usage + "\n", result,
		},
		"text/event-stream": {
			": hello\n\ndata: " + progress + "\n\nid: 1\nevent: x\ndata:" + output + "\r\n\r\n",
			"data: " + log + "\n\ndata: " + usage + "\n\ndata: " + result[:8] + "\ndata: " + result[8:] + "\n\n",
		},
	} {
		s := served(t, func(w http.ResponseWriter, r *http.Request) {
			var m struct {
				Type    string        `json:"type"`
				Attempt int           `json:"attempt"`
				Task    *schemas.Task `json:"task"`
			}
			if err := json.UnmarshalRead(r.Body, &m); err != nil || m.Type != "task" || m.Attempt != 2 || m.Task.TaskID != "t" {
				t.Errorf("the request is %+v, %v", m, err)
			}
			h := r.Header
			if r.Method != http.MethodPost || h.Get("Content-Type") != typeJSON || h.Get("Authorization") != "Bearer key" ||
				!strings.HasPrefix(h.Get("Traceparent"), "00-4bf9") || h.Get("Accept-Encoding") != "" {
				t.Errorf("%s with %v", r.Method, h)
			}
			say(w, kind, text...)
		}, func(c *Config) { c.Headers = map[string]string{"authorization": "Bearer key"} })
		r := new(reported)
		got, err := ask(t.Context(), s, "x", r)
		if r.beats.Load() == 0 {
			t.Errorf("%s: no heartbeat", kind)
		}
		if err != nil || got != `{"ok":true}` {
			t.Errorf("%s: %s, %v", kind, got, err)
		}
		var kinds []string
		for _, e := range r.all {
			kinds = append(kinds, string(e.Kind))
		}
		if want := "progress log output log usage"; len(text) > 0 && !strings.HasPrefix(kind, typeJSON) &&
			strings.Join(kinds, " ") != want {
			t.Errorf("%s: %v are reported, want %s", kind, kinds, want)
		}
	}
}

// TestCancelCloses: whatever ends the attempt closes the connection, and is what it ends with.
func TestCancelCloses(t *testing.T) {
	for _, cause := range []error{processor.ErrCancelled, processor.ErrTimeLimit, processor.ErrHandedOver} {
		for _, begun := range []string{"", `{"type":"output","text":"a"}` + "\n"} {
			ctx, cancel := context.WithCancelCause(t.Context())
			closed := make(chan struct{})
			s := served(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if begun != "" {
					say(w, "application/x-ndjson", begun)
				} else {
					cancel(cause)
				}
				<-r.Context().Done()
				close(closed)
			}, nil)
			r := &reported{}
			task := &schemas.Task{TaskID: "t", UserID: "u", TaskName: "x", Mode: "test", Service: "http"}
			_, err := s.execute(ctx, processor.NewContext(task, "fast", 1, func(ctx context.Context, e *schemas.Event) error {
				cancel(cause)
				return r.take(ctx, e)
			}))
			if !errors.Is(err, cause) {
				t.Errorf("%v ends with %v", cause, err)
			}
			<-closed
		}
	}
}

// TestDescriptions: what a service answers to GET decides which tasks it is given, and what the others wait for.
func TestDescriptions(t *testing.T) {
	for _, c := range []struct {
		name    string
		answer  http.HandlerFunc
		waits   string // for this reason
		refuses string // a task of the name other
	}{
		{"described", func(w http.ResponseWriter, _ *http.Request) {
			say(w, typeJSON, `{"type":"ready","protocol":1,"max_inflight":3,"tasks":{"x":{"description":"y"}}}`)
		}, "", "has no task"},
		{"any name", oneMessage(`{"type":"ready","protocol":1}`), "", ""},
		{"not there", http.NotFound, "", ""},
		{"only POST", status(405, "", "", ""), "", ""},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { say(w, "text/html", "<p>It works!") }, "", ""},
		{"other JSON", oneMessage(`{"status":"ok"}`),
			"no ready message", ""},
		{"another protocol", oneMessage(`{"type":"ready","protocol":9}`),
			"protocol 9; 1 is spoken", ""},
		{"too long", oneMessage(strings.Repeat(" ", 1<<20+1)),
			"more than 1 MiB", ""},
		{"key is wrong", status(401, "", "", ""), "look at the token", ""},
		{"down", status(502, "", "", ""), "502", ""},
		{"moved", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://10.0.0.1/x", http.StatusFound)
		},
			`redirect to "10.0.0.1"`, ""},
	} {
		s := served(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				say(w, typeJSON, `{"type":"result"}`)
				return
			}
			c.answer(w, r)
		}, nil)
		said, err := s.ask(t.Context())
		if err == nil {
			err = s.describe(processor.Cluster{}, said)
		}
		if err != nil {
			s.undescribed(err)
		}
		_, wait := s.admit(nil)
		if c.waits != "" {
			if wait == nil || wait.For != schemas.WaitService || !strings.Contains(wait.Reason, c.waits) ||
				!strings.Contains(strings.Join(s.warnings(), ""), c.waits) {
				t.Errorf("%s: tasks wait for %+v, want %s", c.name, wait, c.waits)
			}
			continue
		}
		if wait != nil || len(s.warnings()) != 0 {
			t.Errorf("%s: tasks wait for %+v; %v", c.name, wait, s.warnings())
		}
		if _, err := ask(t.Context(), s, "other", new(reported)); (err == nil) != (c.refuses == "") ||
			err != nil && !strings.Contains(err.Error(), c.refuses) {
			t.Errorf("%s: a task of another name ends with %v", c.name, err)
		}
		if got, err := ask(t.Context(), s, "x", new(reported)); err != nil || got != "null" {
			t.Errorf("%s: a task ends with %s, %v", c.name, got, err)
		}
	}
}

// TestServiceComesLater: tasks wait until the service is there, and go on while it is described no more.
func TestServiceComesLater(t *testing.T) {
	up := make(chan struct{})
	s := served(t, func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-up:
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, processor.Cluster{}) }()
	await(t, func() bool { return len(s.warnings()) == 1 })
	if _, wait := s.admit(nil); wait == nil || !strings.Contains(wait.Reason, "503") {
		t.Errorf("tasks wait for %+v", wait)
	}
	close(up)
	await(t, func() bool { _, wait := s.admit(nil); return wait == nil })
	s.undescribed(errors.New("gone"))
	if _, wait := s.admit(nil); wait != nil || len(s.warnings()) != 1 {
		t.Errorf("a service that is known and cannot be asked has tasks wait for %+v", wait)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func await(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); pace.Sleep(t.Context(), 5*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not become so")
		}
	}
}

// TestTooMuch: a service that is asked too much is left alone for as long as it says, without an attempt for it.
func TestTooMuch(t *testing.T) {
	after := ""
	s := served(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", after)
		w.WriteHeader(http.StatusTooManyRequests)
	}, nil)
	s.described = true
	for _, given := range []string{"7", "", "", "-1"} {
		after = given
		s.closed = time.Time{}
		before := time.Now()
		_, err := ask(t.Context(), s, "x", new(reported))
		var snooze *processor.SnoozeError
		if !errors.As(err, &snooze) || snooze.Waits.For != schemas.WaitLimit ||
			!strings.Contains(snooze.Waits.Reason, "429") {
			t.Fatalf("it ends with %v", err)
		}
		_, wait := s.admit(nil)
		if wait == nil || !wait.Until.Equal(snooze.Until) || !snooze.Until.After(before) ||
			given == "7" && snooze.Until.Before(before.Add(7*time.Second)) {
			t.Errorf("Retry-After %s: others wait for %+v", given, wait)
		}
	}
	if s.pause != 4*firstPause {
		t.Errorf("three answers that do not say for how long make it %v", s.pause)
	}
}

// TestRefusalsAreNotToldToOthers: what a service says in refusing a task is for the task's own user.
func TestRefusalsAreNotToldToOthers(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		s := served(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = w.Write([]byte("ada's account is full"))
		}, nil)
		s.described = true
		_, err := ask(t.Context(), s, "x", new(reported))
		own := fmt.Sprint(err)
		if snooze := (*processor.SnoozeError)(nil); errors.As(err, &snooze) {
			own = snooze.Waits.Reason
		}
		_, wait := s.admit(nil)
		if !strings.Contains(own, "ada") || wait == nil || strings.Contains(wait.Reason, "ada") ||
			!strings.Contains(wait.Reason, strconv.Itoa(status)) {
			t.Errorf("%d: its user is told %q, others wait for %+v", status, own, wait)
		}
	}
}

// TestAddresses: names of addresses that are not public are refused but for those that are allowed, or that the
// operator has written out.
func TestAddresses(t *testing.T) {
	resolve := func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(served(t, http.NotFound, nil).config.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for host, refused := range map[string]bool{
		"127.0.0.1": false, "localhost": false, "inside.test": true, "[::ffff:127.0.0.1]": false,
	} {
		for _, allow := range [][]netip.Prefix{nil, {netip.MustParsePrefix("127.0.0.0/8")}} {
			s, err := New(Config{Mode: "m", Name: "s", URL: "http://" + host + ":" + port, Allow: allow, lookup: resolve})
			if err != nil {
				t.Fatal(err)
			}
			_, err = ask(t.Context(), s, "x", new(reported))
			s.client.CloseIdleConnections()
			if got := strings.Contains(err.Error(), "may not be reached"); got != (refused && allow == nil) ||
				got && !strings.Contains(err.Error(), "http_services.m/s.allow can name it") {
				t.Errorf("%s, allowed %v: %v", host, allow, err)
			}
		}
	}
}

func TestConfigs(t *testing.T) {
	for _, c := range []Config{
		{}, {Mode: "m", Name: "n"}, {Mode: "m", Name: "n", URL: "ftp://x"}, {Mode: "m", Name: "n", URL: "http://"},
		{Mode: "m", Name: "n", URL: "http://u:p@x"}, {Mode: "m", Name: "n", URL: "http://x", MaxInflight: -1},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
