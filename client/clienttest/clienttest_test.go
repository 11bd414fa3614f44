package clienttest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/schemas"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

func task(name, input string) schemas.Task {
	return schemas.Task{UserID: "ada", TaskName: name, Mode: "chat", Service: "test", InputData: jsontext.Value(input)}
}

// submit submits a task and waits for its end.
func submit(t *testing.T, s *clienttest.Server, one schemas.Task) (*client.Handle, schemas.Result) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	handle, err := s.Client().Submit(ctx, schemas.LaneFast, one)
	if err != nil {
		t.Fatal(err)
	}
	result, err := handle.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return handle, result
}

func double(_ context.Context, task *clienttest.Task) (any, error) {
	var in struct{ N int }
	if err := task.Input(&in); err != nil {
		return nil, err
	}
	return 2 * in.N, nil
}

func TestSubmitAndWait(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("double", double)
	handle, result := submit(t, s, task("double", `{"N":21}`))
	if result.Status != schemas.Completed || string(result.Result) != "42" || handle.Status != schemas.Pending {
		t.Errorf("%+v, %+v", handle, result)
	}
	state, err := s.Client().Get(t.Context(), "ada", handle.TaskID)
	if err != nil || state.Status != schemas.Completed || state.Lane != "fast" || string(state.Result) != "42" ||
		state.Attempt != 1 {
		t.Errorf("%+v, %v", state, err)
	}
	if sent := s.Tasks(); len(sent) != 1 || sent[0].TaskID != handle.TaskID || string(sent[0].InputData) != `{"N":21}` {
		t.Errorf("tasks %+v", sent)
	}
	if _, ended, err := s.Client().Result(t.Context(), "ada", handle.TaskID); !ended || err != nil {
		t.Errorf("ended %v, %v", ended, err)
	}
}

func TestHowTasksEnd(t *testing.T) {
	s := clienttest.New(t)
	for name, h := range map[string]clienttest.Handler{
		"fails":        func(context.Context, *clienttest.Task) (any, error) { return nil, errors.New("no luck") },
		"says nothing": func(context.Context, *clienttest.Task) (any, error) { return nil, errors.New("") },
		"panics":       func(context.Context, *clienttest.Task) (any, error) { panic("oh") },
		"takes long": func(context.Context, *clienttest.Task) (any, error) {
			return nil, &clienttest.EndError{Status: schemas.TimedOut, Code: schemas.CodeTimeLimit,
				Text: "time limit of 1s reached"}
		},
		"no JSON": func(context.Context, *clienttest.Task) (any, error) { return func() {}, nil },
		"double":  double,
	} {
		s.Handle(name, h)
	}
	for _, c := range []struct {
		name, input string
		status      schemas.Status
		code        schemas.ErrorCode
	}{
		{"fails", `{}`, schemas.Failed, schemas.CodeServiceError},
		{"says nothing", `{}`, schemas.Failed, schemas.CodeServiceError},
		{"panics", `{}`, schemas.Failed, schemas.CodePanic},
		{"takes long", `{}`, schemas.TimedOut, schemas.CodeTimeLimit},
		{"no JSON", `{}`, schemas.Failed, schemas.CodeServiceError},
		{"double", `{"N":"x"}`, schemas.Failed, schemas.CodeServiceError},
		{"unheard of", `{}`, schemas.Failed, schemas.CodeUnknownService},
	} {
		if _, result := submit(t, s, task(c.name, c.input)); result.Status != c.status || result.ErrorCode != c.code ||
			result.Error == nil {
			t.Errorf("%s: %+v", c.name, result)
		}
	}
}

func TestWatch(t *testing.T) {
	s := clienttest.New(t)
	proceed := make(chan struct{})
	s.Handle("talk", func(ctx context.Context, task *clienttest.Task) (any, error) {
		<-proceed
		task.Progress(schemas.Progress{Percent: 50})
		task.Output("Hello, ")
		task.Output("world")
		task.Log("info", "said it")
		return "done", nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	other := task("talk", `{}`)
	other.UserID = "bob"
	if _, err := s.Client().Submit(ctx, schemas.LaneHeavy, other); err != nil {
		t.Fatal(err)
	}
	handle, err := s.Client().Submit(ctx, schemas.LaneFast, task("talk", `{}`))
	if err != nil {
		t.Fatal(err)
	}
	request := client.WatchRequest{UserID: "ada", TaskID: handle.TaskID, Since: handle.Cursor}
	request.Connected = func(h client.Hello) {
		if h.Cursor == handle.Cursor { // the first connection: what comes now is live
			close(proceed)
		}
	}
	kinds := func(request client.WatchRequest, until func(client.Event) bool) (all []schemas.Kind, cursor string) {
		for event, err := range s.Client().Watch(ctx, request) {
			if err != nil {
				t.Fatal(err)
			}
			if event.UserID != "ada" || event.TaskID != handle.TaskID {
				t.Errorf("event of %s %s", event.UserID, event.TaskID)
			}
			all, cursor = append(all, event.Kind), event.Cursor
			if until(event) {
				break
			}
		}
		return all, cursor
	}
	terminal := func(e client.Event) bool { return e.Terminal() }
	want := []schemas.Kind{schemas.KindState, schemas.KindProgress, schemas.KindOutput, schemas.KindOutput,
		schemas.KindLog, schemas.KindState}
	live, _ := kinds(request, terminal)
	if !slices.Equal(live, want) {
		t.Errorf("live: %v", live)
	}
	request.Connected, request.Since = nil, client.SinceEarliest
	half, cursor := kinds(request, func(e client.Event) bool { return e.Output != nil })
	request.Since = cursor
	rest, _ := kinds(request, terminal)
	if all := slices.Concat(half, rest); !slices.Equal(all, want) {
		t.Errorf("in two parts: %v", all)
	}
}

func TestSameIDIsOneTask(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("double", double)
	one := task("double", `{"N":1}`)
	one.TaskID = "order-1"
	submit(t, s, one)
	if handle, _ := submit(t, s, one); handle.Status != schemas.Completed || len(s.Tasks()) != 1 {
		t.Errorf("%+v, %d tasks", handle, len(s.Tasks()))
	}
	spelled := one
	spelled.InputData = jsontext.Value(`{"N":10e-1}`)
	submit(t, s, spelled)
	other := one
	other.InputData = jsontext.Value(`{"N":1.00000000000000000001}`) // as a float the same
	_, err := s.Client().Submit(t.Context(), schemas.LaneFast, other)
	var refused *client.APIError
	if !errors.As(err, &refused) || refused.Status != http.StatusConflict || refused.TaskID != "order-1" {
		t.Errorf("other content: %v", err)
	}
	other.UserID, other.InputData = "bob", jsontext.Value(`{"N":2}`)
	if _, result := submit(t, s, other); string(result.Result) != "2" && string(result.Result) != "4" {
		t.Errorf("another user's: %+v", result)
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := clienttest.New(t)
	for want, change := range map[string]func(*schemas.Task) (lane string){
		"lane":     func(*schemas.Task) string { return "slow" },
		"user_id":  func(t *schemas.Task) string { t.UserID = ""; return "fast" },
		"priority": func(t *schemas.Task) string { high := 11; t.Priority = &high; return "fast" },
	} {
		one := task("double", `{}`)
		lane := change(&one)
		_, err := s.Client().Submit(t.Context(), lane, one)
		var refused *client.APIError
		if !errors.As(err, &refused) || refused.Status != http.StatusUnprocessableEntity || refused.Field != want {
			t.Errorf("%s: %v", want, err)
		}
	}
	_, err := s.Client().Get(t.Context(), "ada", "nobody-knows")
	var refused *client.APIError
	if !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		t.Errorf("unknown task: %v", err)
	}
	for _, err := range s.Client().Watch(t.Context(), client.WatchRequest{UserID: "ada", Since: "yesterday"}) {
		if !errors.As(err, &refused) || refused.Status != http.StatusUnprocessableEntity {
			t.Errorf("since yesterday: %v", err)
		}
	}
	if len(s.Tasks()) > 0 {
		t.Errorf("tasks %+v", s.Tasks())
	}
}

// TestOutage: a client that is refused for a moment comes back.
func TestOutage(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("double", double)
	s.Refuse(http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	if _, result := submit(t, s, task("double", `{"N":4}`)); string(result.Result) != "8" || len(s.Tasks()) != 1 {
		t.Errorf("%+v, %d tasks", result, len(s.Tasks()))
	}
}

// TestEndOfTheTest ends handlers, waits and watches.
func TestEndOfTheTest(t *testing.T) {
	ended := make(chan error, 1)
	t.Run("inner", func(t *testing.T) {
		s := clienttest.New(t)
		started := make(chan struct{})
		s.Handle("wait", func(ctx context.Context, _ *clienttest.Task) (any, error) {
			close(started)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil, nil
		})
		if _, err := s.Client().Submit(t.Context(), schemas.LaneFast, task("wait", `{}`)); err != nil {
			t.Fatal(err)
		}
		<-started
		ws, response, err := websocket.DefaultDialer.DialContext(t.Context(), s.Config().Notifier+"/ws?user_id=ada", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		t.Cleanup(func() { _ = ws.Close() })
		for _, say := range []string{`{"kind":"ping"}`, ""} {
			if _, data, err := ws.ReadMessage(); err != nil || say == "" && string(data) != `{"kind":"pong"}` {
				t.Errorf("%s, %v", data, err)
			}
			if err := ws.WriteMessage(websocket.TextMessage, []byte(say)); say != "" && err != nil {
				t.Error(err)
			}
		}
	})
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("handler ended with %v", err)
	}
}
