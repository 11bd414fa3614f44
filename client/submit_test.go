package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/schemas"
)

const acceptedBody = `{"task_id":"t-1","lane":"fast","status":"pending","cursor":"c0"}`

func sampleTask() schemas.Task {
	return schemas.Task{
		UserID: "alice", TaskName: "detect_language", Mode: "chat", Service: "text_analyzer",
		InputData: jsontext.Value(`{"text":"Guten Morgen"}`),
		Unknown:   jsontext.Value(`{"colour":"red"}`),
	}
}

func TestSubmitSendsTheTaskAndItsLane(t *testing.T) {
	api := newFakeAPI(answerWith(202, acceptedBody))
	c := newTestClient(t, Config{Server: api.start(t), Token: "secret"})
	task := sampleTask()
	task.TaskID = "t-1"
	handle, err := c.Submit(t.Context(), "fast", task)
	if err != nil {
		t.Fatal(err)
	}
	if handle.TaskID != "t-1" || handle.UserID != "alice" || handle.Lane != "fast" ||
		handle.Status != schemas.Pending || handle.Cursor != "c0" {
		t.Errorf("handle %+v", handle)
	}
	request := api.seen()[0]
	if request.method != http.MethodPost || request.path != "/v1/tasks" {
		t.Errorf("sent %s %s", request.method, request.path)
	}
	if got := request.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if got := request.header.Get("Authorization"); got != "Bearer secret" {
		t.Errorf("authorization %q", got)
	}
	for member, want := range map[string]string{
		"lane": `"fast"`, "task_id": `"t-1"`, "user_id": `"alice"`, "task_name": `"detect_language"`,
		"mode": `"chat"`, "service": `"text_analyzer"`, "input_data": `{"text":"Guten Morgen"}`, "colour": `"red"`,
	} {
		if got := string(request.body[member]); got != want {
			t.Errorf("member %s is %s, want %s", member, got, want)
		}
	}
}

func TestEveryTryOfASubmitCarriesTheSameID(t *testing.T) {
	api := newFakeAPI(
		hangUp,
		refuseWith(503, "0", `{"title":"Service Unavailable"}`),
		cutShort,
		answerWith(504, `{"title":"Gateway Timeout","detail":"outcome unknown"}`),
		refuseWith(429, "1", ``),
		answerWith(502, `<html>`),
		answerWith(202, `{}`),
	)
	c := newTestClient(t, Config{Server: api.start(t)})
	handle, err := c.Submit(t.Context(), "fast", sampleTask())
	if err != nil {
		t.Fatal(err)
	}
	id, err := uuid.Parse(handle.TaskID)
	if err != nil || id.Version() != 7 {
		t.Errorf("task id %q is no version 7 UUID", handle.TaskID)
	}
	seen := api.seen()
	if len(seen) != 7 {
		t.Fatalf("%d tries, want 7", len(seen))
	}
	for i, request := range seen {
		if got := string(request.body["task_id"]); got != `"`+handle.TaskID+`"` {
			t.Errorf("try %d carries %s, want %q", i+1, got, handle.TaskID)
		}
	}
}

func TestARefusedSubmitIsNotTriedAgain(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 409, 413, 415, 422, 500} {
		api := newFakeAPI(answerWith(status, `{"title":"no","detail":"is missing","field":"user_id"}`))
		c := newTestClient(t, Config{Server: api.start(t)})
		handle, err := c.Submit(t.Context(), "fast", sampleTask())
		var refused *APIError
		if !errors.As(err, &refused) || refused.Status != status || refused.Field != "user_id" {
			t.Errorf("status %d: error %v", status, err)
		}
		if errors.Is(err, ErrUnreachable) {
			t.Errorf("status %d counts as unreachable", status)
		}
		if handle == nil || handle.TaskID == "" {
			t.Errorf("status %d: no handle to submit again with", status)
		}
		if got := len(api.seen()); got != 1 {
			t.Errorf("status %d: %d tries", status, got)
		}
	}
}

func TestARefusalIsNoUnknownOutcome(t *testing.T) {
	refused, busy := answerWith(422, `{"title":"Unprocessable Entity"}`),
		answerWith(503, `{"title":"Service Unavailable"}`)
	for name, tt := range map[string]struct {
		tries []reply
		want  bool
	}{
		"a refusal":                  {[]reply{refused}, false},
		"no broker":                  {[]reply{busy}, false},
		"a refusal when it is back":  {[]reply{busy, refused}, false},
		"a proxy's 503":              {[]reply{answerWith(503, `<html>`)}, true},
		"a proxy's 503 in JSON":      {[]reply{answerWith(503, `{"message":"no"}`)}, true},
		"no acknowledgement":         {[]reply{answerWith(504, `{"title":"Gateway Timeout"}`)}, true},
		"a fault of the server":      {[]reply{answerWith(500, `{"title":"Internal Server Error"}`)}, true},
		"no answer":                  {[]reply{hangUp}, true},
		"half an answer":             {[]reply{cutShort}, true},
		"another's answer":           {[]reply{answerWith(202, `<html>`)}, true},
		"a refusal after no answer":  {[]reply{hangUp, refused}, true},
		"no broker after an unknown": {[]reply{answerWith(504, `{"title":"x"}`), busy}, true},
		"no token":                   {[]reply{answerWith(401, `{"title":"Unauthorized"}`)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{GiveUpAfter: time.Minute}, newFakeAPI(tt.tries...), func(t *testing.T, c *Client) {
				if _, err := c.Submit(t.Context(), "fast", sampleTask()); err == nil || OutcomeUnknown(err) != tt.want {
					t.Errorf("%v: unknown is %v, want %v", err, !tt.want, tt.want)
				}
			})
		})
	}
	task := sampleTask()
	task.InputData = jsontext.Value(`{"text":`)
	if _, err := newTestClient(t, Config{}).Submit(t.Context(), "fast", task); err == nil || OutcomeUnknown(err) {
		t.Errorf("a task that is no JSON and was not sent: %v", err)
	}
}

func TestSubmitIsBoundedByItsContext(t *testing.T) {
	inBubble(t, Config{}, nil, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		handle, err := c.Submit(ctx, "fast", sampleTask())
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrUnreachable) {
			t.Errorf("error %v, want the deadline and that the server cannot be reached", err)
		}
		if handle.TaskID == "" || OutcomeUnknown(err) {
			t.Errorf("no task id to submit again with, or an outcome that is not known though nothing was sent: %v", err)
		}
	})
}

func TestSubmitGivesUp(t *testing.T) {
	inBubble(t, Config{GiveUpAfter: time.Minute}, nil, func(t *testing.T, c *Client) {
		if _, err := c.Submit(t.Context(), "fast", sampleTask()); !errors.Is(err, ErrUnreachable) {
			t.Errorf("error %v", err)
		}
	})
}

func TestAFrozenServerIsUnreachable(t *testing.T) {
	api := newFakeAPI(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	inBubble(t, Config{GiveUpAfter: time.Minute}, api, func(t *testing.T, c *Client) {
		if _, err := c.Submit(t.Context(), "fast", sampleTask()); !errors.Is(err, ErrUnreachable) {
			t.Errorf("error %v", err)
		}
	})
}

func TestSubmitUnderstandsOnlyJSON(t *testing.T) {
	api := newFakeAPI(answerWith(200, "<html>a captive portal</html>"))
	c := newTestClient(t, Config{Server: api.start(t)})
	if _, err := c.Submit(t.Context(), "fast", sampleTask()); !errors.Is(err, errMalformed) {
		t.Errorf("error %v", err)
	}
	task := sampleTask()
	task.InputData = jsontext.Value(`{"text":`)
	if _, err := c.Submit(t.Context(), "fast", task); err == nil || errors.Is(err, ErrUnreachable) {
		t.Errorf("a task that is no JSON: error %v", err)
	}
	if got := len(api.seen()); got != 1 {
		t.Errorf("%d requests, want the first task's only", got)
	}
}

func TestTaskIDsAreDistinct(t *testing.T) {
	c := newTestClient(t, Config{})
	seen := make(map[string]bool)
	for range 1000 {
		id, err := c.NewTaskID()
		if err != nil || seen[id] || schemas.CheckTaskID(id) != "" {
			t.Fatalf("id %q: %v", id, err)
		}
		seen[id] = true
	}
}

// Where no try got a connection nothing was sent, and nothing can have come of it.
func TestARefusedConnectionIsNoUnknownOutcome(t *testing.T) {
	submit := func(config Config, api http.Handler) (unknown bool) {
		t.Helper()
		config.GiveUpAfter = time.Minute
		inBubble(t, config, api, func(t *testing.T, c *Client) {
			_, err := c.Submit(t.Context(), "fast", sampleTask())
			if !errors.Is(err, ErrUnreachable) {
				t.Errorf("error %v", err)
			}
			unknown = OutcomeUnknown(err)
		})
		return unknown
	}
	if submit(Config{}, nil) {
		t.Error("every connection was refused, and the outcome is unknown")
	}
	if submit(Config{Server: "https://api.example"}, newFakeAPI(hangUp)) {
		t.Error("TLS failed before anything was sent, and the outcome is unknown")
	}
	if submit(Config{TokenSource: func(context.Context) (string, error) {
		return "",
			fmt.Errorf("ask issuer: %w", ErrUnreachable)
	}}, nil) {
		t.Error("there was no token to send anything with, and the outcome is unknown")
	}
	if !submit(Config{}, newFakeAPI(hangUp)) {
		t.Error("a task was sent and not answered, and the outcome is known")
	}
	own := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return nil,
			io.ErrUnexpectedEOF
	})}
	if !submit(Config{HTTPClient: own}, nil) {
		t.Error("a transport does not say how far a task came, and the outcome is known")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSubmitAsTheTokensUser(t *testing.T) {
	api := newFakeAPI(answerWith(202,
		`{"task_id":"t-1","user_id":"alice","lane":"fast","status":"pending","cursor":"c0"}`))
	c := newTestClient(t, Config{Server: api.start(t), Token: "secret"})
	task := sampleTask()
	task.UserID = ""
	handle, err := c.Submit(t.Context(), "fast", task)
	if err != nil {
		t.Fatal(err)
	}
	if handle.UserID != "alice" {
		t.Errorf("the task is %q's", handle.UserID)
	}
	if sent, given := api.seen()[0].body["user_id"]; given {
		t.Errorf("user_id %s is sent", sent)
	}
}

func TestUnknownMembersAreKeptIfAskedFor(t *testing.T) {
	for _, keep := range []bool{false, true} {
		api := newFakeAPI(answerWith(202, acceptedBody))
		c := newTestClient(t, Config{Server: api.start(t), KeepUnknown: keep})
		if _, err := c.Submit(t.Context(), "fast", sampleTask()); err != nil {
			t.Fatal(err)
		}
		if got := api.seen()[0].header.Get("Prefer"); (got == "handling=lenient") != keep {
			t.Errorf("keep %v: preference %q", keep, got)
		}
	}
}
