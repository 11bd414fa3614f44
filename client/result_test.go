package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

const completedBody = `{"status":"completed","task":"detect_language","result":{"language":"de"},"error":null}`

func TestWaitPollsUntilTheTaskHasEnded(t *testing.T) {
	running := answerWith(202, `{"status":"running"}`)
	api := newFakeAPI(answerWith(202, acceptedBody), running, running, hangUp, refuseWith(503, "0", ""), running,
		answerWith(200, completedBody))
	c := newTestClient(t, Config{Server: api.start(t)})
	handle, err := c.Submit(t.Context(), "fast", sampleTask())
	if err != nil {
		t.Fatal(err)
	}
	result, err := handle.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != schemas.Completed || string(result.Result) != `{"language":"de"}` || result.Error != nil {
		t.Errorf("result %+v", result)
	}
	for _, request := range api.seen()[1:] {
		if request.path != "/v1/tasks/t-1/result" {
			t.Errorf("asked %s", request.path)
		}
		for name, want := range map[string]string{"user_id": "alice", "wait": "30s", "cursor": "c0"} {
			if got := request.query[name]; len(got) != 1 || got[0] != want {
				t.Errorf("parameter %s is %q, want %q", name, got, want)
			}
		}
	}
}

func TestWaitReturnsEveryEnd(t *testing.T) {
	for _, status := range []schemas.Status{schemas.Completed, schemas.Failed, schemas.TimedOut, schemas.Cancelled} {
		api := newFakeAPI(answerWith(200, `{"status":"`+string(status)+
			`","task":"x","result":null,"error":"why","error_code":"panic"}`))
		c := newTestClient(t, Config{Server: api.start(t)})
		result, err := c.Handle("alice", "t-1").Wait(t.Context())
		if err != nil || result.Status != status || *result.Error != "why" || result.ErrorCode != schemas.CodePanic {
			t.Errorf("%s: result %+v, error %v", status, result, err)
		}
	}
}

func TestWaitLivesThroughARestart(t *testing.T) {
	var address atomic.Pointer[string] // of who serves now; a port that is given back may be another's a moment later
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		now := address.Load()
		if now == nil {
			return nil, syscall.ECONNREFUSED
		}
		return new(net.Dialer).DialContext(ctx, network, *now)
	}}
	defer transport.CloseIdleConnections()
	serve := func(handler reply) *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(handler))
		address.Store(new(server.Listener.Addr().String()))
		return server
	}
	c := newTestClient(t, Config{Server: "http://api.example", HTTPClient: &http.Client{Transport: transport}})
	asked := make(chan struct{}, 100)
	first := serve(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done() // a long poll under way when the server dies
	})
	done := make(chan error, 1)
	go func() {
		result, err := c.Handle("alice", "t-1").Wait(t.Context())
		if err == nil && result.Status != schemas.Completed {
			err = errors.New("status " + string(result.Status))
		}
		done <- err
	}()
	<-asked
	address.Store(nil)
	first.CloseClientConnections()
	first.Close()
	second := serve(answerWith(200, completedBody))
	defer second.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	api := newFakeAPI(answerWith(202, `{"status":"running"}`))
	inBubble(t, Config{}, api, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Handle("alice", "t-1").Wait(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnreachable) {
			t.Errorf("error %v, want the deadline alone: the server was there", err)
		}
	})
}

func TestWaitRefusesWhatIsNoResult(t *testing.T) {
	for _, body := range []string{"<html>", `{"status":"running"}`, `{"status":"odd"}`, `[]`} {
		api := newFakeAPI(answerWith(200, body))
		c := newTestClient(t, Config{Server: api.start(t)})
		if _, err := c.Handle("alice", "t-1").Wait(t.Context()); !errors.Is(err, errMalformed) {
			t.Errorf("body %s: error %v", body, err)
		}
	}
}

func TestResultAsksOnce(t *testing.T) {
	api := newFakeAPI(answerWith(202, `{"status":"running"}`), answerWith(200, completedBody))
	c := newTestClient(t, Config{Server: api.start(t)})
	if _, ended, err := c.Result(t.Context(), "alice", "t-1"); ended || err != nil {
		t.Errorf("a running task: ended %v, error %v", ended, err)
	}
	result, ended, err := c.Result(t.Context(), "alice", "t-1")
	if !ended || err != nil || result.Status != schemas.Completed {
		t.Errorf("an ended task: %+v, ended %v, error %v", result, ended, err)
	}
	if wait := api.seen()[0].query["wait"]; wait != nil {
		t.Errorf("waits %v", wait)
	}
}

func TestGetReadsTheStateAndKeepsTheRest(t *testing.T) {
	api := newFakeAPI(answerWith(200, `{"task_id":"t-1","user_id":"alice","lane":"fast","status":"running","attempt":2,`+
		`"step":1,"task_name":"x","labels":{"a":"b"}}`))
	c := newTestClient(t, Config{Server: api.start(t)})
	state, err := c.Get(t.Context(), "alice", "t-1")
	if err != nil {
		t.Fatal(err)
	}
	if state.Status != schemas.Running || state.Attempt != 2 || state.Lane != "fast" ||
		string(state.Unknown) != `{"labels":{"a":"b"}}` {
		t.Errorf("state %+v", state)
	}
}

func TestGetOfAnUnknownTask(t *testing.T) {
	api := newFakeAPI(answerWith(404, `{"title":"Not Found","detail":"no such task"}`))
	c := newTestClient(t, Config{Server: api.start(t)})
	_, err := c.Get(t.Context(), "alice", "nope")
	var refused *APIError
	if !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("error %v", err)
	}
}

func TestWaitTellsThatATaskIsLost(t *testing.T) {
	lost := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusGone)
		_, _ = w.Write([]byte(`{"status":410,"title":"Gone","detail":"the task is lost: its record was removed",` +
			`"task_id":"t-1","task_status":"lost"}`))
	}
	api := newFakeAPI(lost)
	c := newTestClient(t, Config{Server: api.start(t)})
	_, err := c.Handle("alice", "t-1").Wait(t.Context())
	if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "removed") || len(api.seen()) != 1 {
		t.Errorf("wait: %v after %d requests", err, len(api.seen()))
	}
	if errors.Is(&APIError{Status: http.StatusGone}, ErrLost) ||
		errors.Is(&APIError{TaskStatus: schemas.Failed}, ErrLost) {
		t.Error("another refusal is taken for a loss")
	}
}
