//go:build clients

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clientTasks is how many tasks each foreign client sends.
const clientTasks = 12

// TestForeignClients: tasks put on a lane by kcat, by confluent-kafka with its
// own partitioner and by the Java client reach their end on a WebSocket and in
// the API. scripts/clients/setup.sh installs the clients.
func TestForeignClients(t *testing.T) {
	i := newInstallation(t)
	s := i.up(t)
	cache := clientsDir(t)
	scripts, err := filepath.Abs("../scripts/clients")
	if err != nil {
		t.Fatal(err)
	}
	classes := filepath.Join(cache, "java", "submit.jar") + ":" + filepath.Join(cache, "java", "libs", "*")
	clients := map[string][]string{
		"kcat":   {filepath.Join(scripts, "kcat.sh")},
		"python": {filepath.Join(cache, "venv", "bin", "python"), filepath.Join(scripts, "submit.py")},
		"java":   {"java", "-cp", classes, "tasklane.Submit"},
	}
	for name, command := range clients {
		for _, lane := range []string{"fast", "heavy"} {
			t.Run(name+"-"+lane, func(t *testing.T) { submitBy(t, i, s, command, lane) })
		}
	}
	t.Run("python-fold", func(t *testing.T) { foldByPython(t, i, clients["python"][0], scripts) })
	s.terminate()
}

func clientsDir(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("TASKLANE_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache", "tasklane")
	}
	return filepath.Join(cache, "clients")
}

// submitBy lets a client program send tasks and follows each to its end.
func submitBy(t *testing.T, i *installation, s *server, command []string, lane string) {
	prefix := "user-" + strings.ReplaceAll(t.Name(), "/", "-")
	watchers := map[string]*watcher{}
	for n := range 4 {
		user := fmt.Sprint(prefix, "-", n)
		watchers[user] = watch(t, s.notifier, user, "now")
	}
	args := slices.Concat(command[1:], []string{strings.Join(i.seeds(), ","), i.prefix + "tasks." + lane, fmt.Sprint(clientTasks), prefix})
	sent := strings.Fields(output(t, command[0], args...))
	if len(sent) != 2*clientTasks {
		t.Fatalf("the client printed %q", sent)
	}
	a := newAPI(t, s.api)
	for n := 0; n < len(sent); n += 2 {
		id, user := sent[n], sent[n+1]
		event, statuses := watchers[user].end(id)
		if event["status"] != "completed" || statuses != "running completed" || event["lane"] != lane {
			t.Errorf("%s: statuses %q, event %v", id, statuses, event)
		}
		got := a.must(200, "GET", "/v1/tasks/"+id+"/result?wait=10s&user_id="+user, nil)
		if got["status"] != "completed" {
			t.Errorf("%s by HTTP: %v", id, got)
		}
	}
}

// foldByPython compares the Python reader of docs/DELIVERY.md with the test's
// own: both see the same events.
func foldByPython(t *testing.T, i *installation, python, scripts string) {
	book := read(t, i)
	count := func() (events int) {
		for _, all := range book.tasks {
			events += len(all)
		}
		return events
	}
	want := 6 * clientTasks * 2
	book.until("all events", deadline, func() bool { return count() >= want })
	printed := output(t, python, filepath.Join(scripts, "fold.py"), strings.Join(i.seeds(), ","), i.prefix+"task-events")
	if lines := strings.Count(printed, "\n"); lines != want {
		t.Errorf("the Python reader printed %d events, want %d", lines, want)
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
