package api

import (
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

const smallTask = `{"lane":"fast","user_id":"ada","task_name":"answer","mode":"chat","service":"assistant"}`

func TestTraceparent(t *testing.T) {
	good := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for text, want := range map[string]string{
		good: good, "": "", "x": "", strings.ToUpper(good): "", good + "0": "", strings.Replace(good, "00-", "ff-", 1): "",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": "",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": "",
		"00-0af7651916cd43dd-448eb211c80319c-b7ad6b7169203331-01": "",
	} {
		if got := traceparent(map[string][]string{"Traceparent": {text}}); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func FuzzParseSubmission(f *testing.F) {
	a := New(Config{Lanes: []string{"fast"}})
	for _, body := range []string{smallTask,
		`{"task_id":"t","created_at":null,"lane":"fast","user_id":"ada","task_name":"a","mode":"b","service":"c"}`,
		`{"lane":"fast"}`, "[]", "", `{"lane":null,"":{}}`} {
		f.Add([]byte(body), "key")
	}
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		s, err := a.readSubmission(body, map[string][]string{"Idempotency-Key": {key}}, auth.Anyone())
		if err != nil {
			if bad := httpedge.ProblemOf(err); bad == nil || bad.Status < 400 || bad.Detail == "" {
				t.Errorf("problem %+v of %v", bad, err)
			}
			return
		}
		again, err := schemas.DecodeTask(s.Value)
		if err != nil || again.TaskID != s.task.TaskID || len(s.Value) > schemas.MaxTaskBytes {
			t.Errorf("%s: %v", s.Value, err)
		}
		if !schemas.SameTask(s.Value, s.Value) {
			t.Errorf("%s is not the same as itself", s.Value)
		}
	})
}

// Nobody waits beyond the end of their proof.
func TestWithin(t *testing.T) {
	if got := within(auth.Anyone(), time.Minute); got != time.Minute {
		t.Errorf("without an end: %v", got)
	}
	if got := within(auth.Identity{User: "ada", Expires: time.Now().Add(time.Second)}, time.Minute); got > time.Second {
		t.Errorf("with a second left: %v", got)
	}
	if got := within(auth.Identity{User: "ada", Expires: time.Now().Add(time.Hour)}, time.Minute); got != time.Minute {
		t.Errorf("with an hour left: %v", got)
	}
}
