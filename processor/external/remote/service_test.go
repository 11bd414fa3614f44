package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// TestTasksOfAWorker: a worker is given a task as it was sent, says all that there is to say about it one way or the
// other, and its result is the task's.
func TestTasksOfAWorker(t *testing.T) {
	w := newWorld(t)
	w.do("GET", "/v1/worker/next", "").expect(t, 409, "/v1/worker/ready", `"reason":"not_ready"`)
	w.post("/v1/worker/ready", anyTask).expect(t, 200, `"service":"test/one"`, `"heartbeat_ms":30000`)
	w.do("GET", "/v1/worker/next?wait=0s", "").expect(t, 204)
	messages := [][2]string{
		{"progress", `{"current":1,"total":4,"unit":"pages","message":"page 1"}`}, {"output", `{"text":"Hel"}`},
		{"log", `{"level":"warn","message":"odd"}`}, {"usage", `{"usage":{"model":"m","input_tokens":3}}`},
	}
	for _, together := range []bool{false, true} {
		running, given := w.given(asked{id: "task-1", hard: 90 * time.Minute})
		a := given.task(t)
		limit, err := strconv.ParseInt(given.header.Get(headerHard), 10, 64)
		if a.ID != given.id() || a.Task.TaskID != "task-1" || string(a.Task.InputData) != `{"n":1}` || err != nil ||
			limit < 89*60_000 || limit > 90*60_000 || given.header.Get(headerHeartbeat) != "30000" ||
			given.header.Get(headerSoft) == "" {
			t.Errorf("the worker is given %+v with %v", a, given.header)
		}
		lines := "\n"
		for _, m := range messages {
			if together {
				lines += strings.Replace(m[1], "{", `{"type":"`+m[0]+`","id":"`+a.ID+`",`, 1) + "\r\n"
				continue
			}
			if s := w.post(path(given, m[0]), m[1]).expect(t, 200); s.body != "" || s.header.Get(headerHard) == "" {
				t.Errorf("%s is answered with %s, %v", m[0], s.body, s.header)
			}
		}
		if together {
			w.post(path(given, "messages"), lines+`{"type":"result","result":{"ok":true}}`).expect(t, 200)
		} else {
			w.post(path(given, "ping"), "").expect(t, 200)
			w.post(path(given, "result"), "{\n\"result\": {\"ok\":true}\n}").expect(t, 200)
		}
		o := <-running.done
		var kinds []string
		for _, e := range o.events {
			kinds = append(kinds, string(e.Kind))
		}
		got := strings.Join(kinds, " ")
		if o.err != nil || o.result != `{"ok":true}` || got != "progress log output log usage" || o.beats == 0 {
			t.Errorf("together %v: %s, %v, %s, %d beats", together, o.result, o.err, got, o.beats)
		}
		w.post(path(given, "result"), `{"result":2}`).expect(t, 409, "result", "exactly one", `"reason":"finished"`)
		w.post(path(given, "ping"), "").expect(t, 409)
	}
}

// TestLastWords: errors and retries are what they are of any service.
func TestLastWords(t *testing.T) {
	w := newWorld(t)
	w.describe()
	var again *processor.RetryableError
	for _, c := range []struct {
		kind, body string
		is         func(error) bool
	}{
		{"error", `{"message":"no","details":"File /srv/secret.py"}`, func(err error) bool {
			return err != nil && err.Error() == "no" && !errors.As(err, &again)
		}},
		{"error", `{"message":"busy","retryable":true}`, func(err error) bool { return errors.As(err, &again) }},
		{"retry", `{"after_ms":1500}`, func(err error) bool {
			return errors.As(err, &again) && again.After == 1500*time.Millisecond
		}},
		{"cancelled", "", func(err error) bool { return err != nil && strings.Contains(err.Error(), "nobody has asked") }},
		{"error", `{"message":7}`, func(err error) bool { return strings.Contains(fmt.Sprint(err), "cannot be read") }},
	} {
		running, given := w.given(asked{})
		code := 200
		if strings.Contains(c.body, "7") {
			code = 422
		}
		w.post(path(given, c.kind), c.body).expect(t, code)
		if o := <-running.done; !c.is(o.err) {
			t.Errorf("%s %s ends with %v", c.kind, c.body, o.err)
		}
	}
}

// TestSubmittedTasks: a worker hears what became of what it has submitted, in the answer to that.
func TestSubmittedTasks(t *testing.T) {
	w := newWorld(t)
	w.describe()
	submit := func(context.Context, string, *schemas.Task, []byte) error { return nil }
	running, given := w.given(asked{id: "parent", options: []processor.ContextOption{processor.WithSubmitter(submit)}})
	w.post(path(given, "submit"), `{"ref":"a","task":{"task_name":"b"}}`).expect(t, 200,
		`{"type":"submitted","id":"`+given.id()+`","ref":"a","task_id":"parent~1"}`)
	w.post(path(given, "submit"), `{"ref":"b","task":7}`).expect(t, 200, `"ref":"b","error":`)
	w.post(path(given, "result"), `{"result":null}`).expect(t, 200)
	if o := <-running.done; o.err != nil || o.result != "null" {
		t.Errorf("%s, %v", o.result, o.err)
	}
}

// TestWorkersAreToldToStop: in the answer to whatever they send, and at once if they wait for it; what comes too late
// hears why.
func TestWorkersAreToldToStop(t *testing.T) {
	w := newWorld(t)
	w.describe()
	for _, c := range []struct {
		cause  error
		reason string
		late   string
	}{
		{processor.ErrCancelled, "cancelled", "cancelled"}, {processor.ErrTimeLimit, "soft_time_limit", "time_limit"},
		{processor.ErrHandedOver, "shutdown", "shutdown"},
	} {
		running, given := w.given(asked{})
		heard := make(chan said, 1)
		go func() { heard <- w.post(path(given, "ping")+"?wait=1m", "") }()
		w.until("the worker waits", func() bool {
			l := w.server.leases.find(given.id())
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.asking == 1
		})
		running.end(c.cause)
		want := `{"type":"cancel","id":"` + given.id() + `","reason":"` + c.reason + `"`
		(<-heard).expect(t, 200, want)
		w.post(path(given, "output"), `{"text":"last"}`).expect(t, 200, want)
		w.post(path(given, "cancelled"), "").expect(t, 200)
		if o := <-running.done; !errors.Is(o.err, c.cause) {
			t.Errorf("%s: the task ends with %v", c.reason, o.err)
		}

		running, given = w.given(asked{hard: time.Millisecond}) // nothing more is waited for at its limit
		running.end(c.cause)
		if o := <-running.done; !errors.Is(o.err, c.cause) {
			t.Errorf("%s: the task of a deaf worker ends with %v", c.reason, o.err)
		}
		w.post(path(given, "result"), `{"result":1}`).expect(t, 410, `"reason":"`+c.late+`"`, "drop what you have")
	}
}

// TestAResultAfterACancel is a result all the same.
func TestAResultAfterACancel(t *testing.T) {
	w := newWorld(t)
	w.describe()
	running, given := w.given(asked{})
	running.end(processor.ErrCancelled)
	w.post(path(given, "result"), `{"result":1}`).expect(t, 200)
	if o := <-running.done; o.err != nil || o.result != "1" {
		t.Errorf("%s, %v", o.result, o.err)
	}
}

// TestWorkersThatAreGone: a task that could not be written to its worker goes to another, and costs no attempt where
// there is none.
func TestWorkersThatAreGone(t *testing.T) {
	w := newWorld(t)
	w.describe()
	s := w.server.services[0]
	gone, left := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := w.request(gone, http.MethodGet, "/v1/worker/next?wait=1m", nil)
		ended <- err
	}()
	w.until("a worker waits", func() bool { return s.waiting() == 1 })
	task := &schemas.Task{TaskID: "t", UserID: "u", TaskName: "x", Mode: "test", Service: "one"}
	grant := w.admit(s, task)
	left()
	if err := <-ended; err == nil {
		t.Error("it was answered")
	}
	w.until("its poll is gone", func() bool { return s.waiting() == 0 })
	var snoozed *processor.SnoozeError
	_, err := s.execute(t.Context(), processor.NewContext(task, "fast", 1, nil, processor.WithGrant(grant)))
	if !errors.As(err, &snoozed) {
		t.Errorf("without a worker it ends with %v", err)
	}
	grant.Release()
	grant.Release() // is counted once
	if s.out != 0 {
		t.Errorf("%d attempts are counted", s.out)
	}
	running, given := w.given(asked{})
	w.post(path(given, "result"), `{"result":1}`).expect(t, 200)
	if o := <-running.done; o.result != "1" {
		t.Errorf("%+v", o)
	}
}

// waiting is how many workers wait.
func (s *service) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.polls)
}

// TestHandoversThatFail: a worker whose connection breaks while its task is written has not had it, and what it says
// under its id is refused.
func TestHandoversThatFail(t *testing.T) {
	w := newWorld(t)
	w.describe()
	s := w.server.services[0]
	broken, err := s.wait("broken")
	must(t, err)
	running := w.run(asked{})
	h := <-broken.given
	good, err := s.wait("good")
	must(t, err)
	h.done <- errGone
	again := <-good.given
	again.done <- nil
	w.post("/v1/worker/"+again.lease.id+"/result", `{"result":"kept"}`).expect(t, 200)
	if o := <-running.done; o.result != `"kept"` {
		t.Errorf("it ends with %+v", o)
	}
	w.post("/v1/worker/"+h.lease.id+"/result", `{"result":1}`).expect(t, 410, `"reason":"returned"`)
}

// TestDescriptions: what a service has is what its workers say, the last of whom counts; wrong messages change nothing.
func TestDescriptions(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]string{
		"": "no ready message", "hello": "no ready message", `{"type":"result"}`: "no ready message",
		`{"type":"ready"}`:                                "protocol 0; 1 is spoken here",
		`{"type":"ready","protocol":1,"tasks":7}`:         "cannot be read",
		`{"type":"ready","protocol":1,"max_inflight":-1}`: "max_inflight",
	} {
		s := w.post("/v1/worker/ready", body)
		if s.code != 400 && s.code != 422 || !strings.Contains(s.body, want) {
			t.Errorf("%s: %d %s", body, s.code, s.body)
		}
	}
	if s := w.server.services[0]; len(s.warnings()) != 1 || !strings.Contains(s.warnings()[0], "no worker has said yet") {
		t.Errorf("warnings %v", s.warnings())
	}
	w.post("/v1/worker/ready", `{"type":"ready","protocol":1,"tasks":{"count":{}}}`).expect(t, 200)
	w.post("/v1/worker/ready", `{"type":"ready","protocol":1,"tasks":{"count":{}}}`).expect(t, 200)
	w.post("/v1/worker/ready", anyTask).expect(t, 429, "less than a second ago")
	var unknown *processor.UnknownServiceError
	idle := make(chan said, 1)
	go func() { idle <- w.do("GET", "/v1/worker/next?wait=1m", "") }()
	if o := <-w.run(asked{name: "other"}).done; !errors.As(o.err, &unknown) {
		t.Errorf("a task of another name ends with %v", o.err)
	}
	running := w.run(asked{name: "count"})
	given := (<-idle).expect(t, 200)
	w.post(path(given, "result"), `{"result":1}`).expect(t, 200)
	<-running.done
}

// TestAtOnce: no more tasks are given at once than may be.
func TestAtOnce(t *testing.T) {
	w := newWorld(t, ServiceConfig{Mode: "test", Name: "one", MaxInflight: 1})
	w.describe()
	running, given := w.given(asked{})
	s := w.server.services[0]
	idle := make(chan said, 1)
	go func() { idle <- w.do("GET", "/v1/worker/next?wait=1m", "") }()
	w.until("another waits", func() bool { return s.waiting() == 1 })
	_, wait := s.admit(&schemas.Task{})
	if wait == nil || wait.For != schemas.WaitLimit || !strings.Contains(wait.Reason, "max_inflight") {
		t.Errorf("a second task waits for %+v", wait)
	}
	w.post(path(given, "result"), `{"result":1}`).expect(t, 200)
	<-running.done
	second := w.run(asked{})
	given = (<-idle).expect(t, 200)
	w.post(path(given, "result"), `{"result":2}`).expect(t, 200)
	<-second.done
}

// TestStopping: workers that wait hear at once that no more comes, and those that work can still say what they have.
func TestStopping(t *testing.T) {
	w := newWorld(t)
	w.describe()
	running, given := w.given(asked{})
	idle := make(chan said, 1)
	go func() { idle <- w.do("GET", "/v1/worker/next?wait=1m", "") }()
	w.until("a worker waits", func() bool { return w.server.services[0].waiting() == 1 })
	w.drain()
	if s := (<-idle).expect(t, 503, "stops"); s.header.Get("Retry-After") == "" {
		t.Errorf("it is not said when to ask again: %v", s.header)
	}
	w.do("GET", "/v1/worker/next", "").expect(t, 503)
	w.post("/v1/worker/ready", anyTask).expect(t, 503)
	w.post(path(given, "result"), `{"result":1}`).expect(t, 200)
	if o := <-running.done; o.result != "1" {
		t.Errorf("%+v", o)
	}
}

// TestMetrics: what there is of a service is counted.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.describe()
	running, given := w.given(asked{})
	var text strings.Builder
	w.server.Services()[0].WriteMetrics(&text)
	for _, line := range []string{
		`tasklane_remote_tasks{service="test/one"} 1`, `tasklane_remote_workers_waiting{service="test/one"} 0`,
		`tasklane_remote_tasks_lost_total{service="test/one"} 0`,
		`tasklane_remote_tasks_returned_total{service="test/one"} 0`,
	} {
		if !strings.Contains(text.String(), line+"\n") {
			t.Errorf("there is no %s in\n%s", line, text.String())
		}
	}
	w.post(path(given, "result"), `{"result":1}`).expect(t, 200)
	<-running.done
}
