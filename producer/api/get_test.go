package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/schemas"
)

func TestResult(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	w.Get("/v1/tasks/t1/result").Expect(t, 202, `"pending"`)
	w.Event("t1", schemas.Running, "")
	w.Get("/v1/tasks/t1/result?wait=1ms").Expect(t, 202)
	answer := make(chan reply, 1)
	go func() { answer <- w.Get("/v1/tasks/t1/result?wait=20") }()
	w.Event("t1", schemas.Completed, `{"text":"blue"}`)
	ended := time.Now()
	(<-answer).Expect(t, 200, `{"status":"completed","task":"answer","result":{"text":"blue"},"error":null}`)
	t.Logf("answered %s after the event was acknowledged", time.Since(ended))

	w.Post(task(`"task_id":"t2"`)).Expect(t, 202)
	w.Event("t2", schemas.Failed, "")
	w.Get("/v1/tasks/t2/result?wait=10s").Expect(t, 200, `"result":null,"error":"it broke","error_code":"service_error"`)
	w.Get("/v1/tasks/t2/result?user_id=bob").Expect(t, 404)
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	w.Get("/v1/tasks/t1/events").Expect(t, 200, `"events":[]`)
	w.Event("t1", schemas.Running, "")
	w.Event("t1", schemas.Completed, `1`)
	w.Get("/v1/tasks/t1/result?wait=10s").Expect(t, 200)
	first := w.Get("/v1/tasks/t1/events?limit=1").Expect(t, 200, "running")
	last := w.Get("/v1/tasks/t1/events?after="+first.Text("next")).Expect(t, 200, "completed")
	if last.Text("next") != "" || len(last.Body["events"].([]any)) != 1 {
		t.Errorf("last page %s", last.Raw)
	}
}

func TestTasksOfOtherSenders(t *testing.T) {
	w := newWorld(t)
	value := strings.Replace(task(`"task_id":"k1"`), `"lane":"fast",`, "", 1)
	must(t, w.Kafka.ProduceSync(bounded(t), &kgo.Record{Topic: w.Config.Topics.Lane("heavy"), Partition: 1,
		Value: []byte(value)}).FirstErr())
	w.Get("/v1/tasks/k1").Expect(t, 200, `"lane":"heavy"`) // found by catching up, without a wait here
	w.Event("k1", schemas.Completed, `1`)
	w.Get("/v1/tasks/k1/result?wait=10s").Expect(t, 200)
}

func TestList(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c"} {
		w.Post(task(`"task_id":"`+id+`","input_data":{"text":"grüße `+id+`"}`)).Expect(t, 202)
	}
	if r := w.Get("/v1/tasks?user_id=ada").Expect(t, 200); len(r.Body["tasks"].([]any)) != 3 {
		t.Errorf("list %s", r.Raw)
	}
	first := w.Get("/v1/tasks?limit=2").Expect(t, 200)
	if r := w.Get("/v1/tasks?limit=2&cursor="+first.Text("next_cursor")).Expect(t,
		200); len(r.Body["tasks"].([]any)) != 1 || r.Text("next_cursor") != "" {
		t.Errorf("second page %s", r.Raw)
	}
	w.Get("/v1/tasks?q=GRUSSE").Expect(t, 200)
	w.Get("/v1/tasks?q=gr%C3%BC%C3%9Fe+b").Expect(t, 200, `"task_id":"b"`)
	w.Get("/v1/tasks?status=completed").Expect(t, 200, `{"tasks":[]}`)
}

func TestHostileQueries(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	tests := map[string]struct {
		path string
		code int
		want string
	}{
		"unknown":                    {"/v1/tasks/none", 404, "no such task"},
		"impossible id":              {"/v1/tasks/a%20b", 404, "no task can have"},
		"long id":                    {"/v1/tasks/" + strings.Repeat("a", 300), 404, ""},
		"long user":                  {"/v1/tasks/t1?user_id=" + strings.Repeat("a", 300), 422, `"field":"user_id"`},
		"of somebody else":           {"/v1/tasks/t1?user_id=bob", 404, ""},
		"cursor of nothing":          {"/v1/tasks/t1?cursor=xyz", 422, `"field":"cursor"`},
		"wait too long":              {"/v1/tasks/t1/result?wait=61s", 422, `"field":"wait"`},
		"wait negative":              {"/v1/tasks/t1/result?wait=-1s", 422, `"field":"wait"`},
		"wait for what":              {"/v1/tasks/t1/result?wait=soon", 422, `"field":"wait"`},
		"limit 0":                    {"/v1/tasks?limit=0", 422, `"field":"limit"`},
		"limit 1001":                 {"/v1/tasks/t1/events?limit=1001", 422, `"field":"limit"`},
		"after what":                 {"/v1/tasks/t1/events?after=1-2-3", 422, "after"},
		"status":                     {"/v1/tasks?status=done", 422, `"field":"status"`},
		"status misspelt":            {"/v1/tasks?status=complete", 422, `cancelled, lost; did you mean \"completed\"?`},
		"list of no user":            {"/v1/tasks?user_id=a%00", 422, `"field":"user_id"`},
		"list of a long user":        {"/v1/tasks?user_id=" + strings.Repeat("a", 300), 422, `"field":"user_id"`},
		"controls cursor":            {"/v1/controls?cursor=zz", 422, `"field":"cursor"`},
		"controls cursor of nothing": {"/v1/controls?cursor=pause/house/a", 422, `"field":"cursor"`},
		"list cursor":                {"/v1/tasks?cursor=%00", 422, "cursor"},
		"search without words":       {"/v1/tasks?q=%22%22", 422, "search"},
		"search not UTF-8":           {"/v1/tasks?q=%ff", 422, "UTF-8"},
		"injection":                  {"/v1/tasks?user_id=a'%20OR%201=1--&lane=%22%3BDROP%20TABLE", 200, `{"tasks":[]}`},
		"no route":                   {"/v2/tasks", 404, "openapi.yaml"},
		"trailing slash":             {"/v1/tasks/", 404, ""},
		"sub route":                  {"/v1/tasks/t1/nothing", 404, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { w.Get(tt.path).Expect(t, tt.code, tt.want) })
	}
	w.Do("DELETE", "/v1/tasks", "").Expect(t, 405, "DELETE")
	w.Do("POST", "/healthz", "").Expect(t, 405)
	w.Get("/v1/tasks/t1/cancel").Expect(t, 405)
	w.Do("GET", "/v1/tasks/t1", "", "Host", "evil.example").Expect(t, 421)
	w.Do("GET", "/v1/tasks/t1", "", "Origin", "http://evil.example").Expect(t, 403)
}

func TestOperation(t *testing.T) {
	w := newWorld(t)
	w.Post(task("")).Expect(t, 202)
	w.Get("/healthz").Expect(t, 200)
	w.Get("/readyz").Expect(t, 200)
	w.Get("/openapi.yaml").Expect(t, 200, "openapi: 3.1.0")
	w.Get("/metrics").Expect(t, 200,
		`tasklane_http_requests_total{route="/v1/tasks",method="POST",code="202"} 1`,
		`tasklane_http_request_duration_seconds_bucket{route="/v1/tasks",method="POST",le="`,
		`tasklane_tasks_submitted_total{lane="fast"} 1`, "tasklane_view_lag_records")
}

func TestShutdownReleasesWaiters(t *testing.T) {
	w := newWorld(t)
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	answer := make(chan reply, 1)
	go func() { answer <- w.Get("/v1/tasks/t1/result?wait=60s") }()
	for !strings.Contains(string(w.Get("/metrics").Raw), "tasklane_long_polls 1") {
		must(t, bounded(t).Err())
	}
	started := time.Now()
	w.Stop()
	(<-answer).Expect(t, 202, `"pending"`)
	if took := time.Since(started); took > w.Config.DrainTimeout/2 {
		t.Errorf("shutdown took %s", took)
	}
}
