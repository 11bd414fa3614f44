package openai_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/producer/internal/producertest"
	"github.com/aiecs/tasklane/schemas"
)

// linesOf are requests of an endpoint, the first called r1.
func linesOf(endpoint string, bodies ...string) string {
	var b strings.Builder
	for n, body := range bodies {
		fmt.Fprintf(&b, `{"custom_id":"r%d","method":"POST","url":%q,"body":%s}`+"\n", n+1, endpoint, body)
	}
	return b.String()
}

// newBatch uploads requests and creates their batch.
func newBatch(w *producertest.World, endpoint, lines string) producertest.Reply {
	w.T.Helper()
	file := upload(w, "purpose", "batch", "file:in.jsonl", lines).Expect(w.T, 200).Text("id")
	return w.Do("POST", root+"/batches", `{"input_file_id":"`+file+`","endpoint":"`+endpoint+
		`","completion_window":"24h","metadata":{"of":"test"}}`).Expect(w.T, 200, `"status":"validating"`, `"of":"test"`)
}

// settled is a batch once it has a status.
func settled(w *producertest.World, id string, status ...string) producertest.Reply {
	w.T.Helper()
	for within := producertest.Bounded(w.T); ; {
		r := w.Get(root+"/batches/"+id).Expect(w.T, 200)
		for _, s := range status {
			if r.Text("status") == s {
				return r
			}
		}
		if within.Err() != nil {
			w.T.Fatalf("the batch does not become %v: %s", status, r.Raw)
		}
	}
}

// taskThere waits for a line's task.
func taskThere(w *producertest.World, id string) producertest.Reply {
	w.T.Helper()
	for within := producertest.Bounded(w.T); ; {
		if r := w.Get("/v1/tasks/" + id); r.Code == 200 {
			return r
		}
		producertest.Must(w.T, within.Err())
	}
}

// fileOf is a batch's file, line by line, without the ids that tell nothing; "" for none.
func fileOf(w *producertest.World, batch producertest.Reply, name string) []map[string]any {
	w.T.Helper()
	id := batch.Text(name)
	if id == "" {
		return nil
	}
	w.Get(root+"/files/"+id).Expect(w.T, 200, `"purpose":"batch_output"`)
	var all []map[string]any
	raw := w.Get(root+"/files/"+id+"/content").Expect(w.T, 200).Raw
	for line := range strings.Lines(string(raw)) {
		var one map[string]any
		producertest.Must(w.T, json.Unmarshal([]byte(line), &one))
		all = append(all, one)
	}
	return all
}

func counts(total, completed, failed int) map[string]any {
	return map[string]any{"total": float64(total), "completed": float64(completed), "failed": float64(failed)}
}

// A batch over a restart in its middle: each line is one task and has one outcome, in the order of the input.
func TestBatchOverARestart(t *testing.T) {
	w := producertest.New(t)
	created := newBatch(w, "/v1/chat/completions", linesOf("/v1/chat/completions",
		`{"model":"m","messages":[{"role":"user","content":"one"}]}`,
		`{"model":"m","messages":[{"role":"user","content":"two"}]}`,
		`{"model":"tasklane/x","messages":[{}]}`,
		`{"model":"m","messages":[{"role":"user","content":"four"}]}`))
	id := created.Text("id")
	task := func(n int) string { return fmt.Sprintf("chatcmpl-%s_%d", strings.TrimPrefix(id, "batch_"), n) }
	state := taskThere(w, task(4)).Expect(t, 200, `"lane":"heavy"`, `"batch_id":"`+id, `"task_name":"chat.completions"`)
	if !strings.Contains(string(state.Raw), `"expires_at"`) {
		t.Errorf("the task does not end with the batch: %s", state.Raw)
	}
	say(w, task(1), ended(schemas.Completed, "", `{"text":"first"}`))
	taskEnded(w, task(1))
	running := settled(w, id, "in_progress")
	if diff := cmp.Diff(counts(4, 1, 0), running.Body["request_counts"]); diff != "" {
		t.Error(diff)
	}
	w.Stop()
	w.Start()
	say(w, task(4), func(e *schemas.Event) {
		ended(schemas.Failed, schemas.CodeServiceError, "p: no")(e)
		e.Upstream = &schemas.Upstream{Name: "p", Status: 400, Kind: "bad_request"}
	})
	say(w, task(2), ended(schemas.Completed, "", `{"text":"second"}`))
	done := settled(w, id, "completed").Expect(t, 200, `"errors":null`)
	if diff := cmp.Diff(counts(4, 2, 2), done.Body["request_counts"]); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"in_progress_at", "finalizing_at", "completed_at"} {
		if done.Body[name] == nil {
			t.Errorf("no %s in %s", name, done.Raw)
		}
	}
	for n, line := range fileOf(w, done, "output_file_id") {
		response := line["response"].(map[string]any)
		body := response["body"].(map[string]any)
		said := body["choices"].([]any)[0].(map[string]any)["message"].(map[string]any)["content"]
		got := []any{line["custom_id"], line["error"], response["status_code"], response["request_id"], body["id"], said}
		want := []any{fmt.Sprint("r", n+1), nil, 200.0, task(n + 1), task(n + 1), []string{"first", "second"}[n]}
		if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(line["id"].(string), "batch_req_") {
			t.Errorf("line %v: %s", line["id"], diff)
		}
	}
	wrong := fileOf(w, done, "error_file_id")
	var got []any
	for _, line := range wrong {
		response := line["response"].(map[string]any)
		fault := response["body"].(map[string]any)["error"].(map[string]any)
		got = append(got, line["custom_id"], response["status_code"], fault["code"])
	}
	if diff := cmp.Diff([]any{"r3", 404.0, "model_not_found", "r4", 400.0, "bad_request"}, got); diff != "" {
		t.Error(diff)
	}
	if n := len(w.Records("heavy")); n != 3 {
		t.Errorf("%d tasks were made", n)
	}
	w.Get(root+"/batches").Expect(t, 200, `"has_more":false`, `"status":"completed"`)
	w.Do("POST", root+"/batches/"+id+"/cancel", "").Expect(t, 200, `"status":"completed"`)
}

func taskEnded(w *producertest.World, id string) {
	w.T.Helper()
	w.Get("/v1/tasks/"+id+"/result?wait=20s").Expect(w.T, 200)
}

// The other endpoints, large results included.
func TestBatchesOfResponsesAndEmbeddings(t *testing.T) {
	w, store := keeping(t)
	large := strings.Repeat("long ", 100_000)
	for endpoint, tt := range map[string]struct{ prefix, body, result, says string }{
		"/v1/responses":  {"resp_", `{"model":"m","input":"x"}`, `{"text":"` + large + `"}`, `"text":"` + large},
		"/v1/embeddings": {"embd-", `{"model":"m","input":"x"}`, `{"vectors":[[0.5]]}`, `"embedding":[0.5]`},
	} {
		id := newBatch(w, endpoint, linesOf(endpoint, tt.body)).Text("id")
		task := tt.prefix + strings.TrimPrefix(id, "batch_") + "_1"
		taskThere(w, task)
		if len(tt.result) > 256<<10 {
			say(w, task, endedElsewhere(kept(t, store, "anonymous", tt.result)))
		} else {
			say(w, task, ended(schemas.Completed, "", tt.result))
		}
		done := settled(w, id, "completed")
		w.Get(root+"/files/"+done.Text("output_file_id")+"/content").Expect(t, 200, tt.says)
		if done.Body["error_file_id"] != nil {
			t.Errorf("%s has errors: %s", endpoint, done.Raw)
		}
	}
}

// A cancelled batch cancels what it has sent, keeps what was done, and says of the rest that it was not.
func TestCancelledBatch(t *testing.T) {
	w := producertest.New(t)
	body := `{"model":"m","input":"x"}`
	id := newBatch(w, "/v1/responses", linesOf("/v1/responses", body, body)).Text("id")
	task := "resp_" + strings.TrimPrefix(id, "batch_")
	taskThere(w, task+"_2")
	say(w, task+"_1", ended(schemas.Completed, "", `{"text":"done"}`))
	taskEnded(w, task+"_1")
	w.Do("POST", root+"/batches/"+id+"/cancel", "").Expect(t, 200, `"status":"cancelling"`)
	for within := producertest.Bounded(t); ; {
		producertest.Must(t, within.Err())
		if controls := w.Get("/v1/controls?kind=cancel"); strings.Contains(string(controls.Raw), task+"_2") {
			break
		}
	}
	say(w, task+"_2", ended(schemas.Cancelled, schemas.CodeCancelled, ""))
	done := settled(w, id, "cancelled")
	if diff := cmp.Diff(counts(2, 1, 1), done.Body["request_counts"]); diff != "" {
		t.Error(diff)
	}
	if out := fileOf(w, done, "output_file_id"); len(out) != 1 || out[0]["custom_id"] != "r1" {
		t.Errorf("output %v", out)
	}
	wrong := fileOf(w, done, "error_file_id")
	if len(wrong) != 1 || wrong[0]["response"] != nil ||
		wrong[0]["error"].(map[string]any)["code"] != "batch_cancelled" {
		t.Errorf("errors %v", wrong)
	}
}

// An input that is not in order fails as a whole, before anything of it is a task, and names the lines.
func TestInputThatIsNotInOrder(t *testing.T) {
	w := producertest.New(t)
	fine := linesOf("/v1/responses", `{"model":"m","input":"x"}`)
	for name, tt := range map[string]struct{ lines, code, more string }{
		"empty":   {"\n \n", "empty_file", `"line":null`},
		"no JSON": {fine + "{", "invalid_json_line", `"line":2`},
		"no id": {`{"method":"POST","url":"/v1/responses","body":{}}`, "missing_required_parameter",
			`"param":"custom_id"`},
		"method":   {strings.Replace(fine, "POST", "GET", 1), "invalid_method", `"line":1`},
		"url":      {linesOf("/v1/embeddings", `{"model":"m","input":"x"}`), "mismatched_url", `"param":"url"`},
		"no body":  {linesOf("/v1/responses", `[]`), "missing_required_parameter", `"param":"body"`},
		"no model": {linesOf("/v1/responses", `{"input":"x"}`), "invalid_request", `"param":"body.model"`},
		"no input": {linesOf("/v1/responses", `{"model":"m"}`), "invalid_request", `"param":"body.input"`},
		"stream": {linesOf("/v1/responses", `{"model":"m","input":"x","stream":true}`), "invalid_request",
			`"param":"body.stream"`},
		"twice":     {fine + fine, "duplicate_custom_id", "line 1 has"},
		"long line": {fine + strings.Repeat("x", 3<<20), "line_too_long", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			id := newBatch(w, "/v1/responses", tt.lines).Text("id")
			settled(w, id, "failed").Expect(t, 200, `"code":"`+tt.code, tt.more, `"total":0`)
		})
	}
	if n := len(w.Records("heavy")); n != 0 {
		t.Errorf("%d tasks were made", n)
	}
}

func TestBatchesThatAreRefused(t *testing.T) {
	w := producertest.New(t)
	file := upload(w, "purpose", "user_data", "file:a", "x").Expect(t, 200).Text("id")
	for _, tt := range [][2]string{
		{`{"input_file_id":"file-x","endpoint":"/v1/responses","completion_window":"24h"}`, "input_file_id"},
		{`{"input_file_id":"` + file + `","endpoint":"/v1/responses","completion_window":"24h"}`, "input_file_id"},
		{`{"input_file_id":"file-x","endpoint":"/v1/images","completion_window":"24h"}`, "endpoint"},
		{`{"input_file_id":"file-x","endpoint":"/v1/responses","completion_window":"1h"}`, "completion_window"},
		{`{"input_file_id":"file-x","endpoint":"/v1/responses","completion_window":"24h","metadata":{"a":1}}`, "metadata"},
		{`{"input_file_id":"file-x","endpoint":"/v1/responses","completion_window":"24h",` +
			`"output_expires_after":{"seconds":1}}`, "output_expires_after.seconds"},
	} {
		w.Do("POST", root+"/batches", tt[0]).Expect(t, 400, `"param":"`+tt[1]+`"`, `"error":{`)
	}
	w.Get(root+"/batches/batch_x").Expect(t, 404, `"error":{`)
	w.Do("POST", root+"/batches/batch_x/cancel", "").Expect(t, 404)
	w.Get(root+"/batches?after=batch_x").Expect(t, 400, `"param":"after"`)
	w.Get(root+"/batches?limit=101").Expect(t, 400, `"param":"limit"`)
	w.Get(root+"/batches").Expect(t, 200, `"data":[]`)
}
