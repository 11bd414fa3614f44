package producer

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/schemas"
)

func TestResult(t *testing.T) {
	w := newWorld(t)
	w.post(task(`"task_id":"t1"`)).expect(t, 202)
	w.get("/v1/tasks/t1/result").expect(t, 202, `"pending"`)
	w.event("t1", schemas.Running, "")
	w.get("/v1/tasks/t1/result?wait=1ms").expect(t, 202)
	answer := make(chan reply, 1)
	go func() { answer <- w.get("/v1/tasks/t1/result?wait=20") }()
	w.event("t1", schemas.Completed, `{"text":"blue"}`)
	ended := time.Now()
	(<-answer).expect(t, 200, `{"status":"completed","task":"answer","result":{"text":"blue"},"error":null}`)
	t.Logf("answered %s after the event was acknowledged", time.Since(ended))

	w.post(task(`"task_id":"t2"`)).expect(t, 202)
	w.event("t2", schemas.Failed, "")
	w.get("/v1/tasks/t2/result?wait=10s").expect(t, 200, `"result":null,"error":"it broke","error_code":"service_error"`)
	w.get("/v1/tasks/t2/result?user_id=bob").expect(t, 404)
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.post(task(`"task_id":"t1"`)).expect(t, 202)
	w.get("/v1/tasks/t1/events").expect(t, 200, `"events":[]`)
	w.event("t1", schemas.Running, "")
	w.event("t1", schemas.Completed, `1`)
	w.get("/v1/tasks/t1/result?wait=10s").expect(t, 200)
	first := w.get("/v1/tasks/t1/events?limit=1").expect(t, 200, "running")
	last := w.get("/v1/tasks/t1/events?after="+first.text("next")).expect(t, 200, "completed")
	if last.text("next") != "" || len(last.body["events"].([]any)) != 1 {
		t.Errorf("last page %s", last.raw)
	}
}

func TestTasksOfOtherSenders(t *testing.T) {
	w := newWorld(t)
	value := strings.Replace(task(`"task_id":"k1"`), `"lane":"fast",`, "", 1)
	must(t, w.kafka.ProduceSync(bounded(t), &kgo.Record{Topic: w.config.Topics.Lane("heavy"), Partition: 1, Value: []byte(value)}).FirstErr())
	w.get("/v1/tasks/k1").expect(t, 200, `"lane":"heavy"`) // found by catching up, without a wait here
	w.event("k1", schemas.Completed, `1`)
	w.get("/v1/tasks/k1/result?wait=10s").expect(t, 200)
}

func TestList(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c"} {
		w.post(task(`"task_id":"`+id+`","input_data":{"text":"grüße `+id+`"}`)).expect(t, 202)
	}
	if r := w.get("/v1/tasks?user_id=ada").expect(t, 200); len(r.body["tasks"].([]any)) != 3 {
		t.Errorf("list %s", r.raw)
	}
	first := w.get("/v1/tasks?limit=2").expect(t, 200)
	if r := w.get("/v1/tasks?limit=2&cursor="+first.text("next_cursor")).expect(t, 200); len(r.body["tasks"].([]any)) != 1 || r.text("next_cursor") != "" {
		t.Errorf("second page %s", r.raw)
	}
	w.get("/v1/tasks?q=GRUSSE").expect(t, 200)
	w.get("/v1/tasks?q=gr%C3%BC%C3%9Fe+b").expect(t, 200, `"task_id":"b"`)
	w.get("/v1/tasks?status=completed").expect(t, 200, `{"tasks":[]}`)
}

func TestHostileQueries(t *testing.T) {
	w := newWorld(t)
	w.post(task(`"task_id":"t1"`)).expect(t, 202)
	tests := map[string]struct {
		path string
		code int
		want string
	}{
		"unknown":              {"/v1/tasks/none", 404, "no such task"},
		"impossible id":        {"/v1/tasks/a%20b", 404, "no task can have"},
		"long id":              {"/v1/tasks/" + strings.Repeat("a", 300), 404, ""},
		"long user":            {"/v1/tasks/t1?user_id=" + strings.Repeat("a", 300), 422, `"field":"user_id"`},
		"of somebody else":     {"/v1/tasks/t1?user_id=bob", 404, ""},
		"cursor of nothing":    {"/v1/tasks/t1?cursor=xyz", 422, `"field":"cursor"`},
		"wait too long":        {"/v1/tasks/t1/result?wait=61s", 422, `"field":"wait"`},
		"wait negative":        {"/v1/tasks/t1/result?wait=-1s", 422, `"field":"wait"`},
		"wait for what":        {"/v1/tasks/t1/result?wait=soon", 422, `"field":"wait"`},
		"limit 0":              {"/v1/tasks?limit=0", 422, `"field":"limit"`},
		"limit 1001":           {"/v1/tasks/t1/events?limit=1001", 422, `"field":"limit"`},
		"after what":           {"/v1/tasks/t1/events?after=1-2-3", 422, "after"},
		"status":               {"/v1/tasks?status=done", 422, "status"},
		"list cursor":          {"/v1/tasks?cursor=%00", 422, "cursor"},
		"search without words": {"/v1/tasks?q=%22%22", 422, "search"},
		"search not UTF-8":     {"/v1/tasks?q=%ff", 422, "UTF-8"},
		"injection":            {"/v1/tasks?user_id=a'%20OR%201=1--&lane=%22;DROP%20TABLE%20tasks", 200, `{"tasks":[]}`},
		"no route":             {"/v2/tasks", 404, "openapi.yaml"},
		"trailing slash":       {"/v1/tasks/", 404, ""},
		"sub route":            {"/v1/tasks/t1/nothing", 404, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { w.get(tt.path).expect(t, tt.code, tt.want) })
	}
	w.do("DELETE", "/v1/tasks", "").expect(t, 405, "DELETE")
	w.do("POST", "/healthz", "").expect(t, 405)
	w.get("/v1/tasks/t1/cancel").expect(t, 405)
	w.do("GET", "/v1/tasks/t1", "", "Host", "evil.example").expect(t, 421)
	w.do("GET", "/v1/tasks/t1", "", "Origin", "http://evil.example").expect(t, 403)
}

func TestOperation(t *testing.T) {
	w := newWorld(t)
	w.post(task("")).expect(t, 202)
	w.get("/healthz").expect(t, 200)
	w.get("/readyz").expect(t, 200)
	w.get("/openapi.yaml").expect(t, 200, "openapi: 3.1.0")
	w.get("/metrics").expect(t, 200,
		`tasklane_http_requests_total{route="/v1/tasks",method="POST",code="202"} 1`,
		`tasklane_http_request_duration_seconds_bucket{route="/v1/tasks",method="POST",le="`,
		`tasklane_tasks_submitted_total{lane="fast"} 1`, "tasklane_view_lag_records")
}

func TestShutdownReleasesWaiters(t *testing.T) {
	w := newWorld(t)
	w.post(task(`"task_id":"t1"`)).expect(t, 202)
	answer := make(chan reply, 1)
	go func() { answer <- w.get("/v1/tasks/t1/result?wait=60s") }()
	for !strings.Contains(string(w.get("/metrics").raw), "tasklane_long_polls 1") {
		must(t, bounded(t).Err())
	}
	started := time.Now()
	w.stop()
	(<-answer).expect(t, 202, `"pending"`)
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("shutdown took %s", took)
	}
}
