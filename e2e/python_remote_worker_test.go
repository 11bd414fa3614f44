//go:build clients

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRemoteWorkerInPython: the worker that is printed in docs/REMOTE-WORKERS.md works as it stands there, but for the
// address.
func TestRemoteWorkerInPython(t *testing.T) {
	document, err := os.ReadFile("../docs/REMOTE-WORKERS.md")
	if err != nil {
		t.Fatal(err)
	}
	printed := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(document)
	const address = "http://127.0.0.1:8090"
	if printed == nil || !strings.Contains(string(printed[1]), address) {
		t.Fatal("there is no worker in Python in the document")
	}
	i, at := newInstallation(t), freePorts(t, 1)[0]
	s := i.up(t, "--worker-listen", at, "--remote-service", "test/py")
	file := filepath.Join(t.TempDir(), "worker.py")
	program := strings.ReplaceAll(string(printed[1]), address, "http://"+at)
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	worker := exec.CommandContext(t.Context(), newPrograms(t).place("venv", "bin", "python"), file)
	worker.Stderr = os.Stderr
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	a, book := newAPI(t, s.api), read(t, i)
	a.must(202, "POST", "/v1/tasks", map[string]any{"lane": "fast", "task_id": "asked", "user_id": "ada", "mode": "test",
		"service": "py", "task_name": "any", "input_data": map[string]any{"n": 1}})
	if e := book.end("ada", "asked"); e.Status != "completed" || string(e.Result) != `{"n":1}` {
		t.Errorf("it ends %s: %s %s", e.Status, e.Result, e.Error)
	}
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = worker.Wait() // it was killed
	s.terminate()
}
