package api_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/schemas"
)

func TestSubmit(t *testing.T) {
	w := newWorld(t)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r := w.Post(`{"lane":"heavy","user_id":"ada & bob","task_name":"answer","mode":"chat","service":"assistant",`+
		`"x_team":"red","retry":{"max_atempts":1},"input_data":{"n":12345678901234567890}}`,
		"traceparent", trace, "Prefer", "respond-async, handling=lenient").Expect(t, 202)
	id := r.Text("task_id")
	if r.Text("lane") != "heavy" || r.Text("status") != "pending" || !strings.Contains(string(r.Raw),
		`"unknown_fields":["x_team","retry.max_atempts"]`) {
		t.Errorf("answer %s", r.Raw)
	}
	if r.Header.Get("Preference-Applied") != "handling=lenient" {
		t.Errorf("preference %q", r.Header.Get("Preference-Applied"))
	}
	if want := "tasks/" + id + "?user_id=ada+%26+bob"; r.Header.Get("Location") != want {
		t.Errorf("location %q", r.Header.Get("Location"))
	}
	w.Get(r.Location()).Expect(t, 200, `"status":"pending"`, `"x_team":"red"`, "12345678901234567890")
	at, err := cursor.Parse(r.Text("cursor"))
	must(t, err)
	got := w.Records("heavy")
	if len(got) != 1 || at.Task == nil || at.Task.Offset != got[0].Offset || at.Task.Partition != got[0].Partition ||
		len(at.Events) != 2 {
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
	w.Get("/v1/tasks/"+id+"?cursor="+r.Text("cursor")).Expect(t, 200)
}

func TestGetRightAfterSubmit(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				r := w.Post(task(""))
				if r.Code != 202 {
					t.Errorf("submit: %d %s", r.Code, r.Raw)
					return
				}
				if got := w.Get(r.Location()); got.Code != 200 {
					t.Errorf("get after 202: %d %s", got.Code, got.Raw)
				}
			}
		})
	}
	wg.Wait()
	if got := len(w.Records("fast")); got != 200 {
		t.Errorf("%d records", got)
	}
}

func TestSubmitTwice(t *testing.T) {
	w := newWorld(t)
	first := w.Post(task(`"task_id":"t1","labels":{"a":"1","b":"2"},"priority":7`)).Expect(t, 202)
	same := `{"priority": 7, "labels": {"b":"\u0032","a":"1"}, "task_id":"t1","service":"assistant","mode":"chat",` +
		`"task_name":"answer","user_id":"ada","lane":"fast"}`
	w.Post(same).Expect(t, 202, `"status":"pending"`)
	w.Post(task(`"task_id":"t1","priority":8`)).Expect(t, 409, `"task_id":"t1"`)
	w.Post(strings.Replace(same, `"fast"`, `"heavy"`, 1)).Expect(t, 409)
	w.Event("t1", schemas.Running, "")
	w.Event("t1", schemas.Completed, `{"ok":true}`)
	w.Get("/v1/tasks/t1/result?wait=10s").Expect(t, 200)
	again := w.Post(same).Expect(t, 202, `"status":"completed"`)
	if got := len(w.Records("fast")); got != 1 {
		t.Errorf("%d records on the lane", got)
	}
	a, err := cursor.Parse(first.Text("cursor"))
	must(t, err)
	b, err := cursor.Parse(again.Text("cursor"))
	must(t, err)
	// The fence stands before the first event of the task.
	if a.Log == 0 || a.Log != b.Log {
		t.Errorf("the cursors are of logs %d and %d, want one that has a name", a.Log, b.Log)
	}
	if p := a.Task.Partition; *a.Task != *b.Task || b.Events[p] != a.Events[p]+1 {
		t.Errorf("first cursor %+v, later %+v", a, b)
	}
	// Another user's task of the same id is another task.
	w.Post(strings.Replace(same, `"ada"`, `"bob"`, 1)).Expect(t, 202)
	w.Get("/v1/tasks/t1").Expect(t, 409, `"field":"user_id"`)
	w.Get("/v1/tasks/t1?user_id=bob").Expect(t, 200, `"pending"`)
}

// TestSubmitTwiceComparesNumbersExactly: content is compared, not what floats
// make of it.
func TestSubmitTwiceComparesNumbersExactly(t *testing.T) {
	w := newWorld(t)
	numbers := func(text string) string { return task(`"task_id":"n1","input_data":{"n":[` + text + `],"s":"é"}`) }
	w.Post(numbers(`0.1,9007199254740993,1e999999999,-0`)).Expect(t, 202)
	for _, same := range []string{
		`0.1,9007199254740993,1e999999999,-0`, `0.10,9007199254740993.0,1E+999999999,0`,
		`1e-1,9007199254740993e0,10e999999998,0.0`,
	} {
		w.Post(numbers(same)).Expect(t, 202)
	}
	for _, other := range []string{
		`0.10000000000000000001,9007199254740993,1e999999999,-0`, `0.1,9007199254740992,1e999999999,-0`,
		`0.1,9007199254740993,1e999999998,-0`, `0.1,9007199254740993,1e999999999,1e-400`,
		`0.1,9007199254740993,1e999999999,"0"`,
	} {
		w.Post(numbers(other)).Expect(t, 409)
	}
	if got := len(w.Records("fast")); got != 1 {
		t.Errorf("%d records on the lane", got)
	}
}

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	ids := make(chan string, 10)
	for range 10 {
		wg.Go(func() {
			r := w.Post(task(""), "Idempotency-Key", "order 17")
			if r.Code != 202 {
				t.Errorf("%d %s", r.Code, r.Raw)
			}
			ids <- r.Text("task_id")
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
	if got := len(w.Records("fast")); got != 1 {
		t.Errorf("%d records on the lane", got)
	}
	w.Post(task(`"priority":1`), "Idempotency-Key", "order 17").Expect(t, 409)
	w.Post(task(`"task_id":"`+id+`"`), "Idempotency-Key", "order 17").Expect(t, 202)
	w.Post(task(`"task_id":"t"`), "Idempotency-Key", "order 17").Expect(t, 422, `"field":"task_id"`)
	w.Post(task(""), "Idempotency-Key", strings.Repeat("k", 255)).Expect(t, 202)
	w.Post(task(""), "Idempotency-Key", strings.Repeat("k", 256)).Expect(t, 422, `"field":"Idempotency-Key"`)
	w.Post(task(""), "Idempotency-Key", "").Expect(t, 422, `"field":"Idempotency-Key"`)
	w.Post(task(""), "Idempotency-Key", "a", "Idempotency-Key", "b").Expect(t, 422)
	for _, key := range []string{"a\tb", "a\u0085", "a\u202e", "a\xff"} {
		w.Post(task(""), "Idempotency-Key", key).Expect(t, 422, `"field":"Idempotency-Key"`)
	}
	for _, path := range []string{"/v1/tasks/t/cancel?user_id=a%00", "/v1/tasks/t/cancel?user_id=a%7F",
		"/v1/tasks/t/cancel?user_id=%E2%80%AE"} {
		w.Do("POST", path, "").Expect(t, 422, `"field":"user_id"`)
	}
}

func TestSubmitAfterRestart(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(c *producer.Config) { c.DataDir = dir })
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	w.Stop()
	w.Start()
	w.Post(task(`"task_id":"t1"`)).Expect(t, 202)
	w.Post(task(`"task_id":"t1","step":2`)).Expect(t, 409)
	if got := len(w.Records("fast")); got != 1 {
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
		"user with a zero":     {strings.Replace(task(""), `"ada"`, `"ada\u0000"`, 1), 422, `"field":"user_id"`},
		"user with an escape":  {strings.Replace(task(""), `"ada"`, `"\u001b[31mada"`, 1), 422, `"field":"user_id"`},
		"user turned round":    {strings.Replace(task(""), `"ada"`, `"ada\u202e"`, 1), 422, `"field":"user_id"`},
		"user with a newline":  {strings.Replace(task(""), `"ada"`, `"ada\u2028"`, 1), 422, `"field":"user_id"`},
		"id with a delete":     {task(`"task_id":"a\u007f"`), 422, `"field":"task_id"`},
		"batch with a control": {task(`"batch_id":"a\u0085"`), 422, `"field":"batch_id"`},
		"label with a control": {task(`"labels":{"a\u0001":"b"}`), 422, `"field":"labels"`},
		"version":              {task(`"version":"2"`), 422, `"field":"version"`},
		"what is supported": {task(`"not_before":"2998-01-01T00:00:00Z","expires_at":"2999-01-01T00:00:00Z",` +
			`"retry":{"max_attempts":5},` +
			`"time_limit_ms":1000,"retry_of":"t0","created_at":null,"callback_url":"https://example.org/hook","task_id":null,` +
			`"depends_on":[]`), 202, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { w.Post(tt.body).Expect(t, tt.code, tt.want) })
	}
	w.Post(task(""), "Content-Type", "text/plain").Expect(t, 202) // the first one counts
	for _, kind := range []string{"text/plain", "", "application/json-patch+json", ";;"} {
		r := w.Do("POST", "/v1/tasks", "", "Content-Type", kind)
		r.Expect(t, 415)
	}
	if got := len(w.Records("fast")); got != 2 {
		t.Errorf("%d records on the lane", got)
	}
	w.Get("/metrics").Expect(t, 200, "tasklane_submissions_in_flight 0\n")
}
