package producer

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// lastControl is the newest record of task-control; nil for a tombstone.
func (w *world) lastControl(records int) (key string, c *schemas.Control) {
	w.t.Helper()
	reader := kafkatest.Client(w.t, strings.Join(w.config.Kafka.Brokers, ","), kgo.ConsumeTopics(w.config.Topics.Control()))
	ctx := bounded(w.t)
	var all []*kgo.Record
	for len(all) < records {
		all = append(all, reader.PollFetches(ctx).Records()...)
		must(w.t, ctx.Err())
	}
	last := all[len(all)-1]
	if len(all) != records {
		w.t.Fatalf("%d records, want %d; the last is %s", len(all), records, last.Key)
	}
	if last.Value == nil {
		return string(last.Key), nil
	}
	c, err := schemas.DecodeControl(last.Value)
	must(w.t, err)
	return string(last.Key), c
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	w.post(task(`"task_id":"t1"`)).expect(t, 202)
	w.do("POST", "/v1/tasks/t1/cancel", "").expect(t, 202, `{"task_id":"t1","user_id":"ada","status":"pending"}`)
	key, c := w.lastControl(1)
	lifetime := c.ExpiresAt.Sub(c.Time.Time)
	if key != "cancel/task/ada/t1" || c.Key() != key || lifetime != 7*24*time.Hour || time.Since(c.Time.Time) > time.Minute {
		t.Errorf("written under %s: %+v, valid for %s", key, c, lifetime)
	}
	w.do("POST", "/v1/tasks/t1/cancel?user_id=ada", `{"reason":"changed my mind","by":"ada"}`).expect(t, 202)
	if _, c = w.lastControl(2); c.Reason != "changed my mind" || c.By != "ada" {
		t.Errorf("written %+v", c)
	}
	w.get("/v1/controls?kind=cancel").expect(t, 200, `"key":"cancel/task/ada/t1"`, "changed my mind")

	w.event("t1", schemas.Running, "")
	w.do("POST", "/v1/tasks/t1/cancel", `{"user_id":"ada"}`).expect(t, 202)
	w.event("t1", schemas.Cancelled, "")
	w.get("/v1/tasks/t1/result?wait=10s").expect(t, 200)
	w.do("POST", "/v1/tasks/t1/cancel", "").expect(t, 409, `"task_status":"cancelled"`, `"task_id":"t1"`)

	// Not there yet: the cancel waits for it, if it is known whose it will be.
	w.do("POST", "/v1/tasks/later/cancel", "").expect(t, 404)
	w.do("POST", "/v1/tasks/later/cancel", `{"user_id":"bob/1"}`).expect(t, 202, `{"task_id":"later","user_id":"bob/1"}`)
	if key, _ = w.lastControl(4); key != "cancel/task/bob%2F1/later" {
		t.Errorf("written under %s", key)
	}
	w.post(task(`"task_id":"t2"`)).expect(t, 202)
	w.post(strings.Replace(task(`"task_id":"t2"`), "ada", "bob", 1)).expect(t, 202)
	w.do("POST", "/v1/tasks/t2/cancel", "").expect(t, 409, `"field":"user_id"`)
	w.do("POST", "/v1/tasks/t2/cancel?user_id=bob", "").expect(t, 202, `"user_id":"bob"`)
}

func TestControlsAreSetListedAndLifted(t *testing.T) {
	w := newWorld(t)
	w.get("/v1/controls").expect(t, 200, `{"controls":[]}`)
	pause := `{"kind":"pause","target":{"type":"service","mode":"chat","service":"a/b c"},"by":"ops","reason":"quota"}`
	w.do("POST", "/v1/controls", pause).expect(t, 201, `"key":"pause/service/chat/a%2Fb%20c"`, `"time":"2`)
	w.do("POST", "/v1/controls", pause).expect(t, 200)
	w.do("POST", "/v1/controls", `{"kind":"limits","target":{"type":"user","user_id":".."},"limits":{"max_running":0}}`).expect(t, 201, `"max_running":0`)
	w.do("POST", "/v1/controls", `{"kind":"kill_switch","target":{"type":"task_name","task_name":"answer"}}`).expect(t, 201)
	w.do("POST", "/v1/controls", `{"kind":"cancel","target":{"type":"task","user_id":"ada","task_id":"t1"}}`).expect(t, 201, `"expires_at":"`)

	first := w.get("/v1/controls?limit=3").expect(t, 200, "cancel/task/ada/t1", "kill_switch/task_name/answer", "limits/user/..")
	if next := first.text("next_cursor"); next == "" {
		t.Errorf("no second page: %s", first.raw)
	} else {
		w.get("/v1/controls?cursor="+url.QueryEscape(next)).expect(t, 200, "pause/service", `"reason":"quota"`)
	}
	lifts := map[string]struct {
		path   string
		key    string
		resume schemas.ControlKind // "" is a tombstone
	}{
		"a pause":       {"pause/service/chat/a%2Fb%20c?by=ops&reason=done", "pause/service/chat/a%2Fb%20c", schemas.ControlResume},
		"a kill switch": {"kill_switch/task_name/answer", "kill_switch/task_name/answer", schemas.ControlKillSwitch},
		"limits":        {"limits/user/%2E%2E", "limits/user/..", ""},
		"a cancel":      {"cancel/task/ada/t1", "cancel/task/ada/t1", ""},
	}
	written := 5
	for name, tt := range lifts {
		w.do("DELETE", "/v1/controls/"+tt.path, "").expect(t, 200, `{"key":"`+tt.key+`","was_in_force":true}`)
		written++
		key, c := w.lastControl(written)
		if key != tt.key || (c == nil) != (tt.resume == "") || c != nil && (c.Kind != tt.resume || c.Off != (c.Kind == schemas.ControlKillSwitch)) {
			t.Errorf("%s: written under %s: %+v", name, key, c)
		}
		if name == "a pause" && (c.By != "ops" || c.Reason != "done") {
			t.Errorf("%s: written %+v", name, c)
		}
	}
	w.get("/v1/controls").expect(t, 200, `{"controls":[]}`)
	w.do("DELETE", "/v1/controls/pause/lane/fast", "").expect(t, 200, `"was_in_force":false`)
	w.get("/metrics").expect(t, 200, `tasklane_controls{role="producer",kind="pause"} 0`)
}

func TestTheRecordsOfOthersAreListed(t *testing.T) {
	w := newWorld(t)
	w.get("/v1/controls").expect(t, 200)
	value := `{"kind":"pause","target":{"type":"lane","lane":"heavy"},"time":"2026-01-31T09:30:00Z","colour":"red"}`
	must(t, w.kafka.ProduceSync(bounded(t), &kgo.Record{Topic: w.config.Topics.Control(), Key: []byte("pause/lane/heavy"), Value: []byte(value)}).FirstErr())
	// What this instance writes after it is read after it.
	w.do("POST", "/v1/controls", `{"kind":"resume","target":{"type":"lane","lane":"fast"}}`).expect(t, 200)
	w.get("/v1/controls").expect(t, 200, "pause/lane/heavy", `"colour":"red"`)
}

func TestHostileControls(t *testing.T) {
	w := newWorld(t)
	tests := map[string]struct {
		method, path, body string
		code               int
		want               string
	}{
		"nothing":             {"POST", "/v1/controls", "", 400, "kind and target"},
		"no JSON":             {"POST", "/v1/controls", "{", 400, "not valid JSON"},
		"a list":              {"POST", "/v1/controls", "[]", 422, "kind and target"},
		"no kind":             {"POST", "/v1/controls", "{}", 422, `"field":"kind"`},
		"a time":              {"POST", "/v1/controls", `{"kind":"pause","target":{"type":"lane","lane":"fast"},"time":"2026-01-31T09:30:00Z"}`, 422, `"field":"time"`},
		"no such lane":        {"POST", "/v1/controls", `{"kind":"pause","target":{"type":"lane","lane":"fats"}}`, 422, `"field":"target.lane"`},
		"expired":             {"POST", "/v1/controls", `{"kind":"pause","target":{"type":"lane","lane":"fast"},"expires_at":"2001-01-31T09:30:00Z"}`, 422, `"field":"expires_at"`},
		"off pause":           {"POST", "/v1/controls", `{"kind":"pause","target":{"type":"lane","lane":"fast"},"off":true}`, 422, `"field":"off"`},
		"a limit's typo":      {"POST", "/v1/controls", `{"kind":"limits","target":{"type":"user","user_id":"q"},"limits":{"max_runs":1}}`, 422, `"field":"limits.max_runs"`},
		"an expiry's typo":    {"POST", "/v1/controls", `{"kind":"pause","target":{"type":"lane","lane":"fast"},"expire_at":"2099-01-31T09:30:00Z"}`, 422, `"detail":"expire_at is not known; a control has`},
		"a target's typo":     {"POST", "/v1/controls", `{"kind":"pause","target":{"type":"lane","name":"fast"}}`, 422, `"field":"target.name"`},
		"limits of a task":    {"POST", "/v1/controls", `{"kind":"limits","target":{"type":"task","user_id":"u","task_id":"t"},"limits":{}}`, 422, "target.type"},
		"large":               {"POST", "/v1/controls", `{"x":"` + strings.Repeat("x", 70<<10) + `"}`, 413, "64 KiB"},
		"which kind":          {"GET", "/v1/controls?kind=resume", "", 422, `"field":"kind"`},
		"limit":               {"GET", "/v1/controls?limit=0", "", 422, `"field":"limit"`},
		"lift what kind":      {"DELETE", "/v1/controls/resume/lane/fast", "", 404, "kind"},
		"lift no target":      {"DELETE", "/v1/controls/pause/", "", 422, "target.type"},
		"lift what planet":    {"DELETE", "/v1/controls/pause/planet/earth", "", 422, "target.type"},
		"lift two lanes":      {"DELETE", "/v1/controls/pause/lane/fast/heavy", "", 422, "more names"},
		"lift bad escape":     {"DELETE", "/v1/controls/pause/user/a%252", "", 200, "a%252"},
		"cancel with a word":  {"POST", "/v1/tasks/t1/cancel", `{"user":"ada"}`, 422, "user_id, by and reason"},
		"cancel of two users": {"POST", "/v1/tasks/t1/cancel?user_id=ada", `{"user_id":"bob"}`, 422, `"field":"user_id"`},
		"cancel of nobody":    {"POST", "/v1/tasks/t1/cancel", `{"user_id":""}`, 404, "no such task"},
		"cancel no id":        {"POST", "/v1/tasks/a%20b/cancel", "", 404, "no task can have"},
		"cancel long reason":  {"POST", "/v1/tasks/t1/cancel?user_id=ada", `{"reason":"` + strings.Repeat("x", 2001) + `"}`, 422, `"field":"reason"`},
		"cancel long user":    {"POST", "/v1/tasks/t1/cancel?user_id=" + strings.Repeat("a", 201), "", 422, `"field":"user_id"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { w.do(tt.method, tt.path, tt.body).expect(t, tt.code, tt.want) })
	}
}

func TestOrdersAreJSON(t *testing.T) {
	for _, kind := range []string{"text/plain", "", "application/x-www-form-urlencoded", ";;"} {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		c.Request.Header.Set("Content-Type", kind)
		if _, bad := readOrder(c); bad == nil || bad.Status != 415 {
			t.Errorf("a body of type %q: %+v", kind, bad)
		}
	}
}

func TestControlsWhileTheBrokerHangs(t *testing.T) {
	var v valve
	w := newWorld(t, func(c *Config) {
		c.Kafka.Dialer = v.dial
		c.ProduceTimeout = frozen
	})
	defer v.set(false)
	pause := `{"kind":"pause","target":{"type":"lane","lane":"fast"}}`
	w.do("POST", "/v1/controls", pause).expect(t, 201)
	v.set(true)
	w.p.lanes.reachable.Store(true)
	w.do("DELETE", "/v1/controls/pause/lane/fast", "").expect(t, 504, "outcome unknown")
	w.p.lanes.reachable.Store(false)
	w.do("POST", "/v1/controls", pause).expect(t, 503, "nothing was written")
	w.get("/v1/controls").expect(t, 200, "pause/lane/fast")
	v.set(false)
	for w.do("POST", "/v1/controls", `{"kind":"resume","target":{"type":"lane","lane":"fast"}}`).code != 200 {
		must(t, bounded(t).Err())
	}
	w.get("/v1/controls").expect(t, 200, `{"controls":[]}`)
}
