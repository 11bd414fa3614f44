package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// lastControl is the newest record of task-control; nil for a tombstone.
func lastControl(w *world, records int) (key string, c *schemas.Control) {
	w.T.Helper()
	reader := kafkatest.Client(w.T, strings.Join(w.Config.Kafka.Brokers, ","),
		kgo.ConsumeTopics(w.Config.Topics.Control()))
	ctx := bounded(w.T)
	var all []*kgo.Record
	for len(all) < records {
		all = append(all, reader.PollFetches(ctx).Records()...)
		must(w.T, ctx.Err())
	}
	last := all[len(all)-1]
	if len(all) != records {
		w.T.Fatalf("%d records, want %d; the last is %s", len(all), records, last.Key)
	}
	if last.Value == nil {
		return string(last.Key), nil
	}
	c, err := schemas.DecodeControl(last.Value)
	must(w.T, err)
	return string(last.Key), c
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	w.Do("POST", "/v1/tasks/t1/cancel", "").Expect(t, 202, `{"task_id":"t1","user_id":"ada","status":"pending"}`)
	key, c := lastControl(w, 1)
	lifetime := c.ExpiresAt.Sub(c.Time.Time)
	if key != "cancel/task/ada/t1" || c.Key() != key || lifetime != 7*24*time.Hour ||
		time.Since(c.Time.Time) > time.Minute {
		t.Errorf("written under %s: %+v, valid for %s", key, c, lifetime)
	}
	w.Do("POST", "/v1/tasks/t1/cancel?user_id=ada", `{"reason":"changed my mind","by":"ada"}`).Expect(t, 202)
	if _, c = lastControl(w, 2); c.Reason != "changed my mind" || c.By != "ada" {
		t.Errorf("written %+v", c)
	}
	w.Get("/v1/controls?kind=cancel").Expect(t, 200, `"key":"cancel/task/ada/t1"`, "changed my mind")

	w.Event("t1", schemas.Running, "")
	w.Do("POST", "/v1/tasks/t1/cancel", `{"user_id":"ada"}`).Expect(t, 202)
	w.Event("t1", schemas.Cancelled, "")
	w.Get("/v1/tasks/t1/result?wait=10s").Expect(t, 200)
	w.Do("POST", "/v1/tasks/t1/cancel", "").Expect(t, 409, `"task_status":"cancelled"`, `"task_id":"t1"`)

	// Not there yet: the cancel waits for it, if it is known whose it will be.
	w.Do("POST", "/v1/tasks/later/cancel", "").Expect(t, 404)
	w.Do("POST", "/v1/tasks/later/cancel", `{"user_id":"bob/1"}`).Expect(t, 202, `{"task_id":"later","user_id":"bob/1"}`)
	if key, _ = lastControl(w, 4); key != "cancel/task/bob%2F1/later" {
		t.Errorf("written under %s", key)
	}
	w.Post(task(`"task_id":"t2"`)).Expect(t, 202)
	w.Post(strings.Replace(task(`"task_id":"t2"`), "ada", "bob", 1)).Expect(t, 202)
	w.Do("POST", "/v1/tasks/t2/cancel", "").Expect(t, 409, `"field":"user_id"`)
	w.Do("POST", "/v1/tasks/t2/cancel?user_id=bob", "").Expect(t, 202, `"user_id":"bob"`)
}

func TestControlsAreSetListedAndLifted(t *testing.T) {
	w := newWorld(t)
	w.Get("/v1/controls").Expect(t, 200, `{"controls":[]}`)
	pause := `{"kind":"pause","target":{"type":"service","mode":"chat","service":"a/b c"},"by":"ops","reason":"quota"}`
	w.Do("POST", "/v1/controls", pause).Expect(t, 201, `"key":"pause/service/chat/a%2Fb%20c"`, `"time":"2`)
	w.Do("POST", "/v1/controls", pause).Expect(t, 200)
	w.Do("POST", "/v1/controls", `{"kind":"limits","target":{"type":"user","user_id":".."},"limits":{"max_running":0}}`).
		Expect(t, 201, `"max_running":0`)
	w.Do("POST", "/v1/controls", `{"kind":"kill_switch","target":{"type":"task_name","task_name":"answer"}}`).Expect(t,
		201)
	w.Do("POST", "/v1/controls", `{"kind":"cancel","target":{"type":"task","user_id":"ada","task_id":"t1"}}`).Expect(t,
		201, `"expires_at":"`)

	first := w.Get("/v1/controls?limit=3").Expect(t, 200, "cancel/task/ada/t1", "kill_switch/task_name/answer",
		"limits/user/..")
	if next := first.Text("next_cursor"); next == "" {
		t.Errorf("no second page: %s", first.Raw)
	} else {
		w.Get("/v1/controls?cursor="+url.QueryEscape(next)).Expect(t, 200, "pause/service", `"reason":"quota"`)
	}
	lifts := map[string]struct {
		path   string
		key    string
		resume schemas.ControlKind // "" is a tombstone
	}{
		"a pause": {"pause/service/chat/a%2Fb%20c?by=ops&reason=done", "pause/service/chat/a%2Fb%20c",
			schemas.ControlResume},
		"a kill switch": {"kill_switch/task_name/answer", "kill_switch/task_name/answer", schemas.ControlKillSwitch},
		"limits":        {"limits/user/%2E%2E", "limits/user/..", ""},
		"a cancel":      {"cancel/task/ada/t1", "cancel/task/ada/t1", ""},
	}
	written := 5
	for name, tt := range lifts {
		w.Do("DELETE", "/v1/controls/"+tt.path, "").Expect(t, 200, `{"key":"`+tt.key+`","was_in_force":true}`)
		written++
		key, c := lastControl(w, written)
		if key != tt.key || (c == nil) != (tt.resume == "") || c != nil && (c.Kind != tt.resume ||
			c.Off != (c.Kind == schemas.ControlKillSwitch)) {
			t.Errorf("%s: written under %s: %+v", name, key, c)
		}
		if name == "a pause" && (c.By != "ops" || c.Reason != "done") {
			t.Errorf("%s: written %+v", name, c)
		}
	}
	w.Get("/v1/controls").Expect(t, 200, `{"controls":[]}`)
	w.Do("DELETE", "/v1/controls/pause/lane/fast", "").Expect(t, 200, `"was_in_force":false`)
	w.Get("/metrics").Expect(t, 200, `tasklane_controls{role="producer",kind="pause"} 0`)
}

func TestTheRecordsOfOthersAreListed(t *testing.T) {
	w := newWorld(t)
	w.Get("/v1/controls").Expect(t, 200)
	value := `{"kind":"pause","target":{"type":"lane","lane":"heavy"},"time":"2026-01-31T09:30:00Z","colour":"red"}`
	must(t, w.Kafka.ProduceSync(bounded(t), &kgo.Record{Topic: w.Config.Topics.Control(),
		Key: []byte("pause/lane/heavy"), Value: []byte(value)}).FirstErr())
	// What this instance writes after it is read after it.
	w.Do("POST", "/v1/controls", `{"kind":"resume","target":{"type":"lane","lane":"fast"}}`).Expect(t, 200)
	w.Get("/v1/controls").Expect(t, 200, "pause/lane/heavy", `"colour":"red"`)
}

// A member that was misspelt would be passed over, and a limit be lifted or an expiry never
// come: the refusal names the nearest one, also where it stands in the wrong place.
func TestMisspeltMembersOfControlsAreRefused(t *testing.T) {
	w := newWorld(t)
	const pause, limits = `"kind":"pause","target":{"type":"lane","lane":"fast"}`,
		`"kind":"limits","target":{"type":"user","user_id":"q"}`
	for members, want := range map[string][2]string{
		pause + `,"expire_at":"2099-01-31T09:30:00Z"`: {"expire_at", "expires_at"},
		pause + `,"expiresAt":"2099-01-31T09:30:00Z"`: {"expiresAt", "expires_at"},
		pause + `,"reson":"quota"`:                    {"reson", "reason"},
		pause + `,"lane":"fast"`:                      {"lane", "target.lane"},
		limits + `,"limits":{"max_runn":1}`:           {"limits.max_runn", "limits.max_running"},
		limits + `,"limits":{"maxStartsPerS":1}`: {"limits.maxStartsPerS",
			"limits.max_starts_per_s"},
		limits + `,"limits":{},"max_running":1`:                                 {"max_running", "limits.max_running"},
		`"kind":"pause","target":{"typ":"lane","lane":"fast"}`:                  {"target.typ", "target.type"},
		`"kind":"pause","target":{"type":"user","userId":"q"}`:                  {"target.userId", "target.user_id"},
		`"kind":"pause","targets":{"type":"lane","lane":"fast"}`:                {"targets", "target"},
		`"kinds":"pause","target":{"type":"lane","lane":"fast"}`:                {"kinds", "kind"},
		`"kind":"kill_switch","of":true,"target":{"type":"lane","lane":"fast"}`: {"of", "off"},
	} {
		w.Do("POST", "/v1/controls", "{"+members+"}").Expect(t, 422, `"field":"`+want[0]+`"`, `Did you mean \"`+want[1]+`\"?`)
	}
	w.Do("POST", "/v1/controls", "{"+pause+`,"colour":"red"}`).Expect(t, 422, `"field":"colour"`, "is not known")
	w.Get("/v1/controls").Expect(t, 200, `{"controls":[]}`)
}

func TestHostileControls(t *testing.T) {
	w := newWorld(t)
	tests := map[string]struct {
		method, path, body string
		code               int
		want               string
	}{
		"nothing": {"POST", "/v1/controls", "", 400, "kind and target"},
		"no JSON": {"POST", "/v1/controls", "{", 400, "not valid JSON"},
		"a list":  {"POST", "/v1/controls", "[]", 422, "kind and target"},
		"no kind": {"POST", "/v1/controls", "{}", 422, `"field":"kind"`},
		"a time": {"POST", "/v1/controls",
			`{"kind":"pause","target":{"type":"lane","lane":"fast"},"time":"2026-01-31T09:30:00Z"}`, 422, `"field":"time"`},
		"no such lane": {"POST", "/v1/controls", `{"kind":"pause","target":{"type":"lane","lane":"fats"}}`, 422,
			`"field":"target.lane"`},
		"expired": {"POST", "/v1/controls",
			`{"kind":"pause","target":{"type":"lane","lane":"fast"},"expires_at":"2001-01-31T09:30:00Z"}`, 422,
			`"field":"expires_at"`},
		"off pause": {"POST", "/v1/controls",
			`{"kind":"pause","target":{"type":"lane","lane":"fast"},"off":true}`, 422, `"field":"off"`},
		"a limit's typo": {"POST", "/v1/controls",
			`{"kind":"limits","target":{"type":"user","user_id":"q"},"limits":{"max_runs":1}}`, 422,
			`"field":"limits.max_runs"`},
		"an expiry's typo": {"POST", "/v1/controls",
			`{"kind":"pause","target":{"type":"lane","lane":"fast"},"expire_at":"2099-01-31T09:30:00Z"}`, 422,
			`"detail":"expire_at is not known; a control has`},
		"a target's typo": {"POST", "/v1/controls", `{"kind":"pause","target":{"type":"lane","name":"fast"}}`, 422,
			`"field":"target.name"`},
		"limits of a task": {"POST", "/v1/controls",
			`{"kind":"limits","target":{"type":"task","user_id":"u","task_id":"t"},"limits":{}}`, 422, "target.type"},
		"large":               {"POST", "/v1/controls", `{"x":"` + strings.Repeat("x", 70<<10) + `"}`, 413, "64 KiB"},
		"which kind":          {"GET", "/v1/controls?kind=resume", "", 422, `"field":"kind"`},
		"limit":               {"GET", "/v1/controls?limit=0", "", 422, `"field":"limit"`},
		"lift what kind":      {"DELETE", "/v1/controls/resume/lane/fast", "", 404, "kind"},
		"lift no target":      {"DELETE", "/v1/controls/pause/", "", 422, "target.type"},
		"lift what planet":    {"DELETE", "/v1/controls/pause/planet/earth", "", 422, "target.type"},
		"lift two lanes":      {"DELETE", "/v1/controls/pause/lane/fast/heavy", "", 422, "more names"},
		"lift bad escape":     {"DELETE", "/v1/controls/pause/user/a%252", "", 200, "a%252"},
		"cancel with a word":  {"POST", "/v1/tasks/t1/cancel", `{"user":"ada"}`, 422, `Did you mean \"user_id\"?`},
		"cancel of two users": {"POST", "/v1/tasks/t1/cancel?user_id=ada", `{"user_id":"bob"}`, 422, `"field":"user_id"`},
		"cancel of nobody":    {"POST", "/v1/tasks/t1/cancel", `{"user_id":""}`, 422, "is empty"},
		"cancel no id":        {"POST", "/v1/tasks/a%20b/cancel", "", 404, "no task can have"},
		"cancel long reason": {"POST", "/v1/tasks/t1/cancel?user_id=ada", `{"reason":"` + strings.Repeat("x", 2001) + `"}`,
			422, `"field":"reason"`},
		"cancel long user": {"POST", "/v1/tasks/t1/cancel?user_id=" + strings.Repeat("a", 201), "", 422,
			`"field":"user_id"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { w.Do(tt.method, tt.path, tt.body).Expect(t, tt.code, tt.want) })
	}
}

// A user's cancels are bounded, and a further one is refused before it is written: what
// is acknowledged holds. Other users do not notice.
func TestAUsersCancelsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.Do("POST", "/v1/tasks/early/cancel?user_id=bob", "").Expect(t, 202)
	expires := schemas.AtTime(time.Now().Add(7 * 24 * time.Hour))
	var records []*kgo.Record
	for n := range control.MaxUserCancels {
		c := &schemas.Control{
			Kind: schemas.ControlCancel, Target: schemas.Target{Type: schemas.TargetTask, UserID: "ada", TaskID: fmt.Sprint(n)},
			Time: schemas.AtTime(time.Now()), ExpiresAt: &expires,
		}
		value, err := c.Encode()
		must(t, err)
		records = append(records, &kgo.Record{Topic: w.Config.Topics.Control(), Key: []byte(c.Key()), Value: value})
	}
	must(t, w.Kafka.ProduceSync(bounded(t), records...).FirstErr())
	last := fmt.Sprint(control.MaxUserCancels - 1)
	before := url.QueryEscape("cancel/task/ada/" + fmt.Sprint(control.MaxUserCancels-2))
	for within := bounded(t); !strings.Contains(string(w.Get("/v1/controls?limit=1&cursor="+before).Raw), `"`+last+`"`); {
		must(t, within.Err())
	}
	refused := w.Do("POST", "/v1/tasks/one-more/cancel?user_id=ada", "").Expect(t, 429, "nothing was written", "20000",
		"kill switch")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("it is not said when to come back")
	}
	w.Do("POST", "/v1/controls", `{"kind":"cancel","target":{"type":"task","user_id":"ada","task_id":"one-more"}}`).
		Expect(t, 429)
	w.Do("POST", "/v1/tasks/17/cancel?user_id=ada", "").Expect(t, 202) // it is in force already
	w.Do("POST", "/v1/tasks/late/cancel?user_id=bob", "").Expect(t, 202)
	w.Do("DELETE", "/v1/controls/cancel/task/ada/17", "").Expect(t, 200)
	w.Do("POST", "/v1/tasks/one-more/cancel?user_id=ada", "").Expect(t, 202)
	w.Get("/v1/controls?cursor="+url.QueryEscape("cancel/task/bob/a")).Expect(t, 200, "cancel/task/bob/early",
		"cancel/task/bob/late")
}
