//go:build clients

package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestForeignClientsExamples: the services in other languages among the examples answer a task each, as children and
// over HTTP. The worker in sh has a test of its own that needs no foreign program.
func TestForeignClientsExamples(t *testing.T) {
	t.Parallel()
	p := newPrograms(t)
	examples, err := filepath.Abs("../examples")
	if err != nil {
		t.Fatal(err)
	}
	library, err := filepath.Abs("../clients/python")
	if err != nil {
		t.Fatal(err)
	}
	at := freePorts(t, 1)[0]
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), p.place("venv", "bin", "python"), examples+"/http-service/words.py", port)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	python := "env PYTHONPATH=" + library + " " + p.place("venv", "bin", "python") + " " + examples + "/python-service/"
	s := newInstallation(t).up(t,
		"--subprocess", "text/shell=sh "+examples+"/subprocess-shell/words.sh",
		"--subprocess", "text/node=node "+examples+"/subprocess-node/words.mjs",
		"--subprocess", "text/language="+python+"language.py",
		"--subprocess", "net/fetch="+python+"fetch.py",
		"--http-service", "text/http=http://"+at+"/")
	a := newAPI(t, s.api)
	_, api, err := net.SplitHostPort(s.api[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode, service, name string
		input               any
		want                any
	}{
		{"text", "shell", "count_words", map[string]any{"text": "to be or not"}, map[string]any{"words": 4.0}},
		{"text", "node", "count_words", map[string]any{"text": "to be or not"}, map[string]any{"words": 4.0}},
		{"text", "node", "wait", map[string]any{"ms": 5}, map[string]any{"waited": 5.0}},
		{"text", "http", "count", map[string]any{"text": "to be or not to be"},
			map[string]any{"to": 2.0, "be": 2.0, "or": 1.0, "not": 1.0}},
		{"text", "language", "detect_many", map[string]any{"texts": []string{"Guten Morgen, Frau Weber", "¿Cómo está?"}},
			[]any{"de", "es"}},
		{"net", "fetch", "head", map[string]any{"host": "127.0.0.1", "port": json.Number(api), "path": "/healthz"},
			map[string]any{"status": float64(http.StatusOK), "server": ""}},
	} {
		id := a.must(202, "POST", "/v1/tasks", map[string]any{"lane": "fast", "user_id": "ada", "task_name": c.name,
			"mode": c.mode, "service": c.service, "input_data": c.input})["task_id"].(string)
		end := a.must(200, "GET", "/v1/tasks/"+id+"/result?user_id=ada&wait=60s", nil)
		if diff := cmp.Diff(c.want, end["result"]); diff != "" || end["status"] != "completed" {
			t.Errorf("%s/%s %s is %v: (-want +got)\n%s", c.mode, c.service, c.name, end["error"], diff)
		}
	}
	s.terminate()
}
