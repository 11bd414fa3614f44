//go:build clients

package e2e

import (
	"fmt"
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
	p := newPrograms(t)
	clients := map[string][]string{
		"kcat":   {p.script("kcat.sh")},
		"python": p.python("submit.py"),
		"java":   {"java", "-cp", p.place("java", "submit.jar") + ":" + p.place("java", "libs", "*"), "tasklane.Submit"},
	}
	for name, command := range clients {
		for _, lane := range []string{"fast", "heavy"} {
			t.Run(name+"-"+lane, func(t *testing.T) { submitBy(t, i, s, command, lane) })
		}
	}
	t.Run("python-fold", func(t *testing.T) { foldByPython(t, i, p.python("fold.py")) })
	s.terminate()
}

// submitBy lets a client program send tasks and follows each to its end.
func submitBy(t *testing.T, i *installation, s *server, command []string, lane string) {
	prefix := "user-" + strings.ReplaceAll(t.Name(), "/", "-")
	watchers := map[string]*watcher{}
	for n := range 4 {
		user := fmt.Sprint(prefix, "-", n)
		watchers[user] = watch(t, s.notifier, user, "now")
	}
	args := []string{strings.Join(i.seeds(), ","), i.prefix + "tasks." + lane, fmt.Sprint(clientTasks), prefix}
	sent := strings.Fields(output(t, slices.Concat(command, args)...))
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
func foldByPython(t *testing.T, i *installation, command []string) {
	book := read(t, i)
	count := func() (events int) {
		for _, all := range book.tasks {
			events += len(all)
		}
		return events
	}
	want := 6 * clientTasks * 2
	book.until("all events", deadline, func() bool { return count() >= want })
	printed := output(t, append(command, strings.Join(i.seeds(), ","), i.prefix+"task-events")...)
	if lines := strings.Count(printed, "\n"); lines != want {
		t.Errorf("the Python reader printed %d events, want %d", lines, want)
	}
}
