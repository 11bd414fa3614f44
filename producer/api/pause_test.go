package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// A task that waits for a pause shows the one in force: a longer or shorter one that takes the first's place, and
// one of another target that holds it for longer. Once none holds it, its own events say what it waited for.
func TestAPausedTaskShowsThePauseInForce(t *testing.T) {
	w := newWorld(t)
	id := w.Post(task("")).Expect(t, http.StatusAccepted).Text("task_id")
	state := w.Get("/v1/tasks/"+id+"?user_id=ada").Expect(t, http.StatusOK).Body
	partition := int32(state["partition"].(float64))
	shard := fmt.Sprintf("fast/%d", partition)
	w.Append(shard, partition, schemas.Event{Kind: schemas.KindFence})
	w.Append(shard, partition, schemas.Event{
		Kind: schemas.KindState, Status: schemas.Pending, UserID: "ada", TaskID: id, Task: "answer", Lane: "fast",
		Mode: "chat", Service: "assistant", Time: schemas.AtTime(time.Now()),
		Message: "Waiting (pause): answer: as its event said",
		Waiting: &schemas.Waiting{For: schemas.WaitPause, Reason: "as its event said", By: "ops", Name: "user/ada"},
	})
	pause := func(target, reason string, lasts time.Duration) {
		t.Helper()
		expires := ""
		if lasts > 0 {
			expires = fmt.Sprintf(`,"expires_at":%q`, time.Now().Add(lasts).UTC().Format(time.RFC3339))
		}
		body := fmt.Sprintf(`{"kind":"pause","target":%s,"reason":%q,"by":"ops"%s}`, target, reason, expires)
		if r := w.Do("POST", "/v1/controls", body); r.Code/100 != 2 {
			t.Fatalf("%s: %d %s", body, r.Code, r.Raw)
		}
	}
	shows := func(reason, name string, until bool) {
		t.Helper()
		eventually(t, reason, func() bool {
			for _, path := range []string{"/v1/tasks/" + id + "?user_id=ada", "/v1/tasks?user_id=ada"} {
				text := string(w.Get(path).Expect(t, http.StatusOK).Raw)
				if !strings.Contains(text, fmt.Sprintf(`"reason":%q`, reason)) || !strings.Contains(text, name) ||
					!strings.Contains(text, `"message":"Waiting (pause): answer: `+reason+`"`) ||
					strings.Contains(text, `"until"`) != until || strings.Contains(text, "next_attempt_at") != until {
					return false
				}
			}
			return true
		})
	}
	user, lane := `{"type":"user","user_id":"ada"}`, `{"type":"lane","lane":"fast"}`
	pause(user, "first", time.Hour)
	shows("first", "user/ada", true)
	pause(user, "second", 20*time.Minute)
	shows("second", "user/ada", true)
	pause(lane, "for good", 0)
	shows("for good", "lane/fast", false)
	for _, target := range []string{user, lane} {
		if r := w.Do("POST", "/v1/controls", `{"kind":"resume","target":`+target+`}`); r.Code/100 != 2 {
			t.Fatalf("resume %s: %d %s", target, r.Code, r.Raw)
		}
	}
	shows("as its event said", "user/ada", false)
}
