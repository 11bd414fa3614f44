package producer

import (
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/schemas"
)

func TestSubmit(t *testing.T) {
	w := newWorld(t)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r := w.post(`{"lane":"heavy","user_id":"ada & bob","task_name":"answer","mode":"chat","service":"assistant","x_team":"red","retry":{"max_atempts":1},"input_data":{"n":12345678901234567890}}`,
		"traceparent", trace).expect(t, 202)
	id := r.text("task_id")
	if r.text("lane") != "heavy" || r.text("status") != "pending" || !strings.Contains(string(r.raw), `"unknown_fields":["x_team","retry.max_atempts"]`) {
		t.Errorf("answer %s", r.raw)
	}
	if want := "/v1/tasks/" + id + "?user_id=ada+%26+bob"; r.header.Get("Location") != want {
		t.Errorf("location %q", r.header.Get("Location"))
	}
	w.get(r.header.Get("Location")).expect(t, 200, `"status":"pending"`, `"x_team":"red"`, "12345678901234567890")
	at, err := cursor.Parse(r.text("cursor"))
	must(t, err)
	got := w.records("heavy")
	if len(got) != 1 || at.Task == nil || at.Task.Offset != got[0].Offset || at.Task.Partition != got[0].Partition || len(at.Events) != 2 {
		t.Fatalf("cursor %+v for %+v", at, got)
	}
	record := got[0]
	want := kgo.StickyKeyPartitioner(nil).ForTopic("t").Partition(&kgo.Record{Key: []byte("ada & bob")}, 2)
	if string(record.Key) != "ada & bob" || int(record.Partition) != want {
		t.Errorf("key %q in partition %d", record.Key, record.Partition)
	}
	if len(record.Headers) != 1 || string(record.Headers[0].Value) != trace {
		t.Errorf("headers %v", record.Headers)
	}
	decoded, err := schemas.DecodeTask(record.Value)
	must(t, err)
	if decoded.CreatedAt == nil || decoded.TaskID != id || strings.Contains(string(record.Value), `"lane"`) {
		t.Errorf("record %s", record.Value)
	}
	w.get("/v1/tasks/"+id+"?cursor="+r.text("cursor")).expect(t, 200)
}

func TestGetRightAfterSubmit(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				r := w.post(task(""))
				if r.code != 202 {
					t.Errorf("submit: %d %s", r.code, r.raw)
					return
				}
				if got := w.get(r.header.Get("Location")); got.code != 200 {
					t.Errorf("get after 202: %d %s", got.code, got.raw)
				}
			}
		})
	}
	wg.Wait()
	if got := len(w.records("fast")); got != 200 {
		t.Errorf("%d records", got)
	}
}

func TestSubmitTwice(t *testing.T) {
	w := newWorld(t)
	first := w.post(task(`"task_id":"t1","labels":{"a":"1","b":"2"},"priority":7`)).expect(t, 202)
	same := `{"priority": 7, "labels": {"b":"\u0032","a":"1"}, "task_id":"t1","service":"assistant","mode":"chat","task_name":"answer","user_id":"ada","lane":"fast"}`
	w.post(same).expect(t, 202, `"status":"pending"`)
	w.post(task(`"task_id":"t1","priority":8`)).expect(t, 409, `"task_id":"t1"`)
	w.post(strings.Replace(same, `"fast"`, `"heavy"`, 1)).expect(t, 409)
	w.event("t1", schemas.Running, "")
	w.event("t1", schemas.Completed, `{"ok":true}`)
	w.get("/v1/tasks/t1/result?wait=10s").expect(t, 200)
	again := w.post(same).expect(t, 202, `"status":"completed"`)
	if got := len(w.records("fast")); got != 1 {
		t.Errorf("%d records on the lane", got)
	}
	a, err := cursor.Parse(first.text("cursor"))
	must(t, err)
	b, err := cursor.Parse(again.text("cursor"))
	must(t, err)
	// The fence stands before the first event of the task.
	if p := a.Task.Partition; *a.Task != *b.Task || b.Events[p] != a.Events[p]+1 {
		t.Errorf("first cursor %+v, later %+v", a, b)
	}
	// Another user's task of the same id is another task.
	w.post(strings.Replace(same, `"ada"`, `"bob"`, 1)).expect(t, 202)
	w.get("/v1/tasks/t1").expect(t, 409, `"field":"user_id"`)
	w.get("/v1/tasks/t1?user_id=bob").expect(t, 200, `"pending"`)
}

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	ids := make(chan string, 10)
	for range 10 {
		wg.Go(func() {
			r := w.post(task(""), "Idempotency-Key", "order 17")
			if r.code != 202 {
				t.Errorf("%d %s", r.code, r.raw)
			}
			ids <- r.text("task_id")
		})
	}
	wg.Wait()
	id := <-ids
	for range 9 {
		if other := <-ids; other != id {
			t.Errorf("ids %q and %q", id, other)
		}
	}
	if !strings.HasPrefix(id, "idem-") || len(id) != 45 {
		t.Errorf("id %q", id)
	}
	if got := len(w.records("fast")); got != 1 {
		t.Errorf("%d records on the lane", got)
	}
	w.post(task(`"priority":1`), "Idempotency-Key", "order 17").expect(t, 409)
	w.post(task(`"task_id":"`+id+`"`), "Idempotency-Key", "order 17").expect(t, 202)
	w.post(task(`"task_id":"t"`), "Idempotency-Key", "order 17").expect(t, 422, `"field":"task_id"`)
	w.post(task(""), "Idempotency-Key", strings.Repeat("k", 255)).expect(t, 202)
	w.post(task(""), "Idempotency-Key", strings.Repeat("k", 256)).expect(t, 422, `"field":"Idempotency-Key"`)
	w.post(task(""), "Idempotency-Key", "").expect(t, 422, `"field":"Idempotency-Key"`)
	w.post(task(""), "Idempotency-Key", "a", "Idempotency-Key", "b").expect(t, 422)
}

func TestSubmitAfterRestart(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(c *Config) { c.DataDir = dir })
	w.post(task(`"task_id":"t1"`)).expect(t, 202)
	w.stop()
	w.start()
	w.post(task(`"task_id":"t1"`)).expect(t, 202)
	w.post(task(`"task_id":"t1","step":2`)).expect(t, 409)
	if got := len(w.records("fast")); got != 1 {
		t.Errorf("%d records on the lane", got)
	}
}

func TestHostileSubmissions(t *testing.T) {
	w := newWorld(t)
	big := strings.Repeat("x", 1<<20)
	deep := strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)
	tests := map[string]struct {
		body string
		code int
		want string
	}{
		"empty":                {" ", 400, "empty"},
		"no JSON":              {"hello", 400, "not valid JSON"},
		"cut off":              {`{"lane":"fast"`, 400, "not valid JSON"},
		"two values":           {task("") + "{}", 400, "not valid JSON"},
		"name twice":           {task(`"mode":"x"`), 400, "not valid JSON"},
		"name twice inside":    {task(`"input_data":{"a":1,"a":2}`), 400, "not valid JSON"},
		"bad UTF-8":            {task("\"x\":\"\xff\""), 400, "not valid JSON"},
		"deep":                 {task(`"input_data":` + deep), 400, "not valid JSON"},
		"array":                {"[]", 422, "one JSON object"},
		"null":                 {"null", 422, ""},
		"lane missing":         {`{"user_id":"a"}`, 422, `"field":"lane"`},
		"lane unknown":         {`{"lane":"gpu"}`, 422, "fast, heavy"},
		"lane of another type": {`{"lane":5}`, 422, `"field":"lane"`},
		"user missing":         {`{"lane":"fast","task_name":"a","mode":"b","service":"c"}`, 422, `"field":"user_id"`},
		"user of another type": {strings.Replace(task(""), `"ada"`, "5", 1), 422, `"field":"user_id"`},
		"name missing":         {strings.Replace(task(""), "task_name", "name", 1), 422, `"field":"task_name"`},
		"id with a slash":      {task(`"task_id":"a/b"`), 422, `"field":"task_id"`},
		"id of another type":   {task(`"task_id":[]`), 422, `"field":"task_id"`},
		"priority":             {task(`"priority":11`), 422, `"field":"priority"`},
		"retry":                {task(`"retry":{"max_attempts":0}`), 422, `"field":"retry.max_attempts"`},
		"input":                {task(`"input_data":[1]`), 422, `"field":"input_data"`},
		"created_at":           {task(`"created_at":"yesterday"`), 422, `"field":"created_at"`},
		"too large":            {task(`"input_data":{"a":"` + big + `"}`), 413, "1 MiB"},
		"far too large":        {task(`"input_data":{"a":"` + big + big + `"}`), 413, "1 MiB"},
		"depends_on":           {task(`"depends_on":["a"]`), 422, `"field":"depends_on"`},
		"on_success":           {task(`"on_success":{}`), 422, `"field":"on_success"`},
		"on_failure":           {task(`"on_failure":{}`), 422, `"field":"on_failure"`},
		"callback_url":         {task(`"callback_url":"https://user:secret@example.org/"`), 422, `"field":"callback_url"`},
		"callback_url scheme":  {task(`"callback_url":"file:///etc/passwd"`), 422, `"field":"callback_url"`},
		"version":              {task(`"version":"2"`), 422, `"field":"version"`},
		"what is supported": {task(`"not_before":"2998-01-01T00:00:00Z","expires_at":"2999-01-01T00:00:00Z","retry":{"max_attempts":5},` +
			`"time_limit_ms":1000,"retry_of":"t0","created_at":null,"callback_url":"https://example.org/hook","task_id":null,"depends_on":[]`), 202, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { w.post(tt.body).expect(t, tt.code, tt.want) })
	}
	w.post(task(""), "Content-Type", "text/plain").expect(t, 202) // the first one counts
	for _, kind := range []string{"text/plain", "", "application/json-patch+json", ";;"} {
		r := w.do("POST", "/v1/tasks", "", "Content-Type", kind)
		r.expect(t, 415)
	}
	if got := len(w.records("fast")); got != 2 {
		t.Errorf("%d records on the lane", got)
	}
	if n := w.p.gate.inFlight(); n != 0 {
		t.Errorf("%d tasks are still in flight", n)
	}
}

func TestTraceparent(t *testing.T) {
	good := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for text, want := range map[string]string{
		good: good, "": "", "x": "", strings.ToUpper(good): "", good + "0": "", strings.Replace(good, "00-", "ff-", 1): "",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": "", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": "",
		"00-0af7651916cd43dd-448eb211c80319c-b7ad6b7169203331-01": "",
	} {
		if got := traceparent(map[string][]string{"Traceparent": {text}}); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestGate(t *testing.T) {
	g := newGate(2, 100)
	first, ok := g.enter(60)
	if !ok {
		t.Fatal("refused the first")
	}
	if _, ok := g.enter(41); ok {
		t.Error("let in too many bytes")
	}
	second, ok := g.enter(40)
	if !ok {
		t.Fatal("refused what fits")
	}
	if _, ok := g.enter(0); ok {
		t.Error("let in too many tasks")
	}
	first()
	first()
	second()
	if g.inFlight() != 0 || g.bytes != 0 {
		t.Errorf("%d tasks, %d bytes left", g.count, g.bytes)
	}
}

func FuzzParseSubmission(f *testing.F) {
	p := &Producer{config: Config{Lanes: []string{"fast"}}}
	for _, body := range []string{task(""), task(`"task_id":"t","created_at":null`), `{"lane":"fast"}`, "[]", "", `{"lane":null,"":{}}`} {
		f.Add([]byte(body), "key")
	}
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		s, bad := p.parseSubmission(body, map[string][]string{"Idempotency-Key": {key}}, auth.Anyone())
		if bad != nil {
			if bad.Status < 400 || bad.Detail == "" {
				t.Errorf("problem %+v", bad)
			}
			return
		}
		again, err := schemas.DecodeTask(s.encoded)
		if err != nil || again.TaskID != s.task.TaskID || len(s.encoded) > schemas.MaxTaskBytes {
			t.Errorf("%s: %v", s.encoded, err)
		}
		if !s.sameContent(s.lane, s.encoded) {
			t.Errorf("%s is not the same as itself", s.encoded)
		}
	})
}
