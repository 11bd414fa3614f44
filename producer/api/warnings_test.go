package api_test

import (
	"strings"
	"testing"

	"github.com/aiecs/tasklane/schemas"
)

// A control of a name that was misspelt would hold nothing back, and nobody would notice.
func TestControlsOfNothingThatWasSeenWarn(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	w.Event("t1", schemas.Running, "")
	set := func(kind, target, more string) string {
		t.Helper()
		r := w.Do("POST", "/v1/controls", `{"kind":"`+kind+`","target":`+target+more+`}`)
		if r.Code != 200 && r.Code != 201 {
			t.Fatalf("%d %s", r.Code, r.Raw)
		}
		return r.Text("warning")
	}
	for _, kind := range []struct{ kind, more string }{{"pause", ""}, {"kill_switch", ""}, {"limits",
		`,"limits":{"max_running":1}`}} {
		for target, name := range map[string]string{
			`{"type":"service","mode":"chat","service":"asistant"}`:   "chat/asistant",
			`{"type":"service","mode":"chats","service":"assistant"}`: "chats/assistant",
			`{"type":"task_name","task_name":"anser"}`:                "anser",
			`{"type":"user","user_id":"Ada"}`:                         "Ada",
		} {
			if got := set(kind.kind, target, kind.more); !strings.Contains(got, name) || !strings.Contains(got,
				"has been seen") {
				t.Errorf("%s %s: warning %q", kind.kind, target, got)
			}
		}
		for _, target := range []string{
			`{"type":"service","mode":"chat","service":"assistant"}`, `{"type":"task_name","task_name":"answer"}`,
			`{"type":"user","user_id":"ada"}`, `{"type":"lane","lane":"heavy"}`,
		} {
			if got := set(kind.kind, target, kind.more); got != "" {
				t.Errorf("%s %s: warning %q", kind.kind, target, got)
			}
		}
	}
}

func TestEndedCancelsDoNotFillTheList(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"t1", "t2"} {
		w.Post(task(`"task_id":"`+id+`"`)).Expect(t, 202)
		w.Do("POST", "/v1/tasks/"+id+"/cancel", `{"user_id":"ada"}`).Expect(t, 202)
	}
	w.Do("POST", "/v1/tasks/later/cancel", `{"user_id":"ada"}`).Expect(t, 202)
	w.Event("t1", schemas.Cancelled, "")
	w.Get("/v1/tasks/t1/result?wait=10s").Expect(t, 200)
	for _, path := range []string{"/v1/controls", "/v1/controls?kind=cancel"} {
		r := w.Get(path).Expect(t, 200, "cancel/task/ada/t2", "cancel/task/ada/later")
		if strings.Contains(string(r.Raw), "cancel/task/ada/t1") {
			t.Errorf("%s lists a cancel of what has ended: %s", path, r.Raw)
		}
	}
	// It is in force all the same: for a repeat, and to be lifted.
	w.Do("DELETE", "/v1/controls/cancel/task/ada/t1", "").Expect(t, 200, `"was_in_force":true`)
}
