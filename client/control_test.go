package client

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

func TestCancelSaysWhereTheTaskStood(t *testing.T) {
	api := newFakeAPI(hangUp, refuseWith(503, "0", ""),
		answerWith(202, `{"task_id":"t-1","user_id":"alice","status":"running"}`))
	c := newTestClient(t, Config{Server: api.start(t)})
	status, err := c.Handle("alice", "t-1").Cancel(t.Context(), "no longer needed")
	if err != nil || status != schemas.Running {
		t.Fatalf("status %q, error %v", status, err)
	}
	for _, request := range api.seen() {
		if request.method != "POST" || request.path != "/v1/tasks/t-1/cancel" ||
			!slices.Equal(request.query["user_id"], []string{"alice"}) ||
			string(request.body["reason"]) != `"no longer needed"` {
			t.Errorf("request %+v", request)
		}
	}
	if _, err := c.Cancel(t.Context(), "", "t-1", ""); err != nil {
		t.Error(err)
	}
	if last := api.seen()[3]; last.query["user_id"] != nil || last.body["reason"] != nil {
		t.Errorf("request %+v", last)
	}
}

func TestCancelOfATaskThatHasEnded(t *testing.T) {
	for status, fine := range map[schemas.Status]bool{schemas.Cancelled: true, schemas.Completed: false,
		schemas.TimedOut: false, "": false} {
		api := newFakeAPI(answerWith(409, `{"title":"Conflict","detail":"it has ended","task_status":"`+string(status)+`"}`))
		c := newTestClient(t, Config{Server: api.start(t)})
		got, err := c.Cancel(t.Context(), "alice", "t-1", "")
		var refused *APIError
		switch {
		case fine && (err != nil || got != schemas.Cancelled):
			t.Errorf("%s: status %q, error %v", status, got, err)
		case !fine && (!errors.As(err, &refused) || refused.Status != 409 || refused.TaskStatus != status):
			t.Errorf("%s: error %v", status, err)
		}
	}
}

func TestControlsAreSetAndLifted(t *testing.T) {
	const entry = `{"key":"pause/service/a%2Fb/..","kind":"pause","target":{"type":"service","mode":"a/b",` +
		`"service":".."},"time":"2026-01-31T09:30:00.000Z","by":"ops"}`
	api := newFakeAPI(answerWith(201, entry), answerWith(200, `{"key":"pause/service/a%2Fb/..","was_in_force":true}`))
	c := newTestClient(t, Config{Server: api.start(t)})
	in := schemas.AtTime(time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC))
	pause := schemas.Control{Kind: schemas.ControlPause,
		Target: schemas.Target{Type: schemas.TargetService, Mode: "a/b", Service: ".."}, By: "ops", ExpiresAt: &in}
	written, err := c.SetControl(t.Context(), pause)
	if err != nil || written.Time != in || written.Target != pause.Target {
		t.Fatalf("written %+v, error %v", written, err)
	}
	was, err := c.LiftControl(t.Context(), pause)
	if err != nil || !was {
		t.Fatalf("was in force %v, error %v", was, err)
	}
	seen := api.seen()
	if set := seen[0]; set.path != "/v1/controls" || set.body["time"] != nil ||
		string(set.body["expires_at"]) != `"2026-01-31T09:30:00.000Z"` || string(set.body["by"]) != `"ops"` {
		t.Errorf("set by %+v", set)
	}
	if lift := seen[1]; lift.method != "DELETE" || lift.path != "/v1/controls/pause/service/a/b/.." ||
		!slices.Equal(lift.query["by"], []string{"ops"}) {
		t.Errorf("lifted by %+v", lift)
	}
	request, err := c.newRequest(t.Context(), call{method: "DELETE",
		path: []string{"v1", "controls", "pause", "service", "a/b", ".."}}, "")
	if err != nil || request.URL.EscapedPath() != "/v1/controls/pause/service/a%2Fb/%2E%2E" {
		t.Errorf("goes to %s, error %v", request.URL.EscapedPath(), err)
	}
}

func TestControlsArePaged(t *testing.T) {
	page := func(lane, next string) reply {
		return answerWith(200, `{"controls":[{"key":"pause/lane/`+lane+`","kind":"pause","target":{"type":"lane","lane":"`+
			lane+`"},"time":"2026-01-31T09:30:00.000Z"}],"next_cursor":"`+next+`"}`)
	}
	api := newFakeAPI(page("fast", "pause/lane/fast"), page("heavy", ""), answerWith(422, `{"field":"kind"}`))
	c := newTestClient(t, Config{Server: api.start(t)})
	var lanes []string
	for control, err := range c.Controls(t.Context(), schemas.ControlPause) {
		if err != nil {
			t.Fatal(err)
		}
		lanes = append(lanes, control.Target.Lane)
	}
	if !slices.Equal(lanes, []string{"fast", "heavy"}) {
		t.Errorf("lanes %v", lanes)
	}
	if q := api.seen()[1].query; !slices.Equal(q["cursor"], []string{"pause/lane/fast"}) ||
		!slices.Equal(q["kind"], []string{"pause"}) {
		t.Errorf("second page asked for by %v", q)
	}
	failures := 0
	for _, err := range c.Controls(t.Context(), "") {
		var refused *APIError
		if !errors.As(err, &refused) {
			t.Errorf("error %v", err)
		}
		failures++
	}
	if failures != 1 {
		t.Errorf("%d errors", failures)
	}
}
