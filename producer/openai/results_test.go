package openai_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/internal/producertest"
	"github.com/aiecs/tasklane/schemas"
)

// keeping is a world whose store of artifacts the test has too.
func keeping(t *testing.T) (*producertest.World, *artifact.Store) {
	t.Helper()
	store, _, err := artifact.New(artifact.Config{Dir: t.TempDir()})
	producertest.Must(t, err)
	return producertest.New(t, func(c *producer.Config) { c.Artifacts = store }), store
}

// kept stores a result as a processor does.
func kept(t *testing.T, store *artifact.Store, user, result string) *schemas.Artifact {
	t.Helper()
	upload, err := store.Create(user)
	producertest.Must(t, err)
	defer upload.Close()
	_, err = upload.Write([]byte(result))
	producertest.Must(t, err)
	info, err := upload.Commit(context.Background(), "result.json", "application/json", 0)
	producertest.Must(t, err)
	return &schemas.Artifact{Hash: info.Hash, Size: info.Size}
}

func endedElsewhere(at *schemas.Artifact) func(*schemas.Event) {
	return func(e *schemas.Event) { e.Status, e.ResultArtifact = schemas.Completed, at }
}

// lastOf reads a stream to its end and gives its last data, without the mark of the end.
func lastOf(w *producertest.World, path string) (last string) {
	w.T.Helper()
	req, err := http.NewRequestWithContext(producertest.Bounded(w.T), http.MethodGet, "http://"+w.Role.Addr()+path, nil)
	producertest.Must(w.T, err)
	res, err := http.DefaultClient.Do(req)
	producertest.Must(w.T, err)
	defer func() { _ = res.Body.Close(); http.DefaultClient.CloseIdleConnections() }()
	lines := bufio.NewScanner(res.Body)
	for lines.Buffer(nil, 4<<20); lines.Scan(); {
		if data, is := strings.CutPrefix(lines.Text(), "data: "); is && data != "[DONE]" {
			last = data
		}
	}
	producertest.Must(w.T, lines.Err())
	return last
}

// waitingTask is the id of the one task of a user, once it is there.
func waitingTask(w *producertest.World, user string) string {
	w.T.Helper()
	for within := producertest.Bounded(w.T); ; {
		producertest.Must(w.T, within.Err())
		if tasks := w.Get("/v1/tasks?user_id=" + user).Body["tasks"].([]any); len(tasks) == 1 {
			return tasks[0].(map[string]any)["task_id"].(string)
		}
	}
}

// What is too large for an event is in every answer whole.
func TestLargeResultsComeWhole(t *testing.T) {
	w, store := keeping(t)
	large := strings.Repeat("long ", 100_000)
	quoted, err := json.Marshal(large)
	producertest.Must(t, err)
	text := string(quoted)
	native := `{"id":"r","object":"response","status":"completed","output":[{"type":"message","id":"m",` +
		`"role":"assistant","status":"completed","content":[{"type":"output_text","text":` + text + `,"annotations":[]}]}]}`
	completion := `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,` +
		`"finish_reason":"stop","message":{"role":"assistant","content":` + text + `}}]}`
	vectors := `{"vectors":[[0.5` + strings.Repeat(",0.25", 100_000) + `]]}`
	for name, tt := range map[string]struct{ path, body, result, says string }{
		"response":         {"/responses", `"input":"x"`, native, text},
		"neutral response": {"/responses", `"input":"x"`, `{"text":` + text + `}`, text},
		"chat":             {"/chat/completions", `"messages":[{}]`, completion, text},
		"neutral chat":     {"/chat/completions", `"messages":[{}]`, `{"text":` + text + `}`, text},
		"embeddings":       {"/embeddings", `"input":"x"`, vectors, vectors[len(`{"vectors":[`) : len(vectors)-2]},
	} {
		t.Run(name, func(t *testing.T) {
			user := strings.ReplaceAll(name, " ", "-")
			answered := make(chan producertest.Reply, 1)
			go func() { answered <- w.Do("POST", root+tt.path, `{"model":"m","user":"`+user+`",`+tt.body+`}`) }()
			id := waitingTask(w, user)
			say(w, id, endedElsewhere(kept(t, store, user, tt.result)))
			(<-answered).Expect(t, 200, tt.says)
			if tt.path != "/responses" {
				return
			}
			w.Get(root+"/responses/"+id).Expect(t, 200, tt.says)
			for _, query := range []string{"?stream=true", "?stream=true&starting_after=2"} {
				if last := lastOf(w, root+"/responses/"+id+query); !strings.Contains(last, tt.says) ||
					!strings.Contains(last, `"type":"response.completed"`) {
					t.Errorf("%s ends with %.200s", query, last)
				}
			}
			next := w.Do("POST", root+"/responses", `{"model":"m","input":"and?","background":true,"user":"`+user+
				`","previous_response_id":"`+id+`"}`).Expect(t, 200)
			w.Get("/v1/tasks/"+next.Text("id")).Expect(t, 200, text[:1000])
		})
	}
}

// A result that is kept no more does not keep a client waiting: it is told so.
func TestGoneResultIsTold(t *testing.T) {
	w, _ := keeping(t)
	id := background(w)
	say(w, id, output(0, "Hel"))
	say(w, id, endedElsewhere(&schemas.Artifact{Hash: strings.Repeat("0a", 32), Size: 4}))
	w.Get("/v1/tasks/"+id+"/result?wait=20s").Expect(t, 410)
	w.Get(root+"/responses/"+id).Expect(t, 410, `"error":{`, "does not have it")
	last := lastOf(w, root+"/responses/"+id+"?stream=true")
	if !strings.Contains(last, `"type":"response.failed"`) || !strings.Contains(last, "does not have it") {
		t.Errorf("the stream ends with %s", last)
	}
}
