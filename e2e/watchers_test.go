//go:build clients

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestForeignClientsOfSocketIO: clients of the old system, in Python and
// JavaScript, connect, register and see how their tasks go, and nobody else's,
// whichever transport they use.
func TestForeignClientsOfSocketIO(t *testing.T) {
	i := newInstallation(t)
	s := i.up(t)
	p := newPrograms(t)
	clients := map[string][]string{
		"python": p.python("watch.py"),
		"node":   {"node", p.script("watch.cjs")},
	}
	for name, command := range clients {
		for _, transports := range []string{"polling", "websocket", "polling,websocket"} {
			t.Run(name+"-"+transports, func(t *testing.T) {
				w := watchBy(t, s, command, p.place("node", "node_modules"), transports)
				w.follow(newAPI(t, s.api))
			})
		}
	}
	s.terminate()
}

// foreignWatcher is a client program that watches one user.
type foreignWatcher struct {
	t          *testing.T
	user       string
	transports string
	command    *exec.Cmd
	lines      *bufio.Scanner
	stderr     strings.Builder
}

// watchBy starts a client and waits until it has registered.
func watchBy(t *testing.T, s *server, command []string, modules, transports string) *foreignWatcher {
	t.Helper()
	w := &foreignWatcher{t: t, user: strings.NewReplacer("/", "-", ",", "-").Replace(t.Name()), transports: transports}
	address := "http" + strings.TrimPrefix(s.notifier, "ws")
	w.command = exec.CommandContext(t.Context(), command[0],
		append(command[1:], address, w.user, transports, fmt.Sprint(2*clientTasks))...)
	w.command.Env = append(os.Environ(), "NODE_PATH="+modules)
	w.command.Stderr = &w.stderr
	out, err := w.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.command.Start(); err != nil {
		t.Fatal(err)
	}
	w.lines = bufio.NewScanner(out)
	w.lines.Buffer(nil, 4<<20)
	if got := w.line(); got != "ready" {
		t.Fatalf("the client begins with %s", got)
	}
	return w
}

func (w *foreignWatcher) line() string {
	w.t.Helper()
	if !w.lines.Scan() {
		w.t.Fatalf("the client has ended: %v, %v\n%s", w.lines.Err(), w.command.Wait(), w.stderr.String())
	}
	return w.lines.Text()
}

// follow submits tasks, of another user too, and compares what the client
// prints with what has to happen.
func (w *foreignWatcher) follow(a *api) {
	for n := range clientTasks {
		for _, user := range []string{w.user, "somebody-else"} {
			task, input := "echo", map[string]any{"n": n}
			if n%3 == 0 {
				task, input = "fail", map[string]any{"message": "out of luck"}
			}
			a.must(202, "POST", "/v1/tasks", newTask("fast", user, fmt.Sprintf("%s-%d", w.user, n), task, input))
		}
	}
	statuses := map[string]map[int]string{} // by task and place in the journal
	last := w.line()
	for ; strings.HasPrefix(last, "{"); last = w.line() {
		var event struct {
			EventID string         `json:"event_id"`
			TaskID  string         `json:"task_id"`
			UserID  string         `json:"user_id"`
			Status  string         `json:"status"`
			Step    int            `json:"step"`
			Task    string         `json:"task"`
			Message string         `json:"message"`
			Error   string         `json:"error"`
			Result  map[string]int `json:"result"`
		}
		if err := json.Unmarshal([]byte(last), &event); err != nil {
			w.t.Fatalf("%s: %v", last, err)
		}
		var n int
		if _, err := fmt.Sscanf(event.TaskID, w.user+"-%d", &n); err != nil || event.UserID != w.user {
			w.t.Fatalf("an event of another user: %s", last)
		}
		seq, err := strconv.Atoi(event.EventID[strings.LastIndexByte(event.EventID, '-')+1:])
		if err != nil {
			w.t.Fatalf("the event_id of %s: %v", last, err)
		}
		if statuses[event.TaskID] == nil {
			statuses[event.TaskID] = map[int]string{}
		}
		statuses[event.TaskID][seq] = event.Status
		fine := event.Step == 1
		switch event.Status {
		case "running":
			fine = fine && event.Message == "Executing task: "+event.Task
		case "completed":
			fine = fine && event.Message == "Completed task: echo" && event.Result["n"] == n
		case "failed":
			fine = fine && event.Message == "Failed to execute task: fail" && strings.Contains(event.Error, "out of luck")
		}
		if !fine {
			w.t.Errorf("progress %s", last)
		}
	}
	for n := range clientTasks {
		want := []string{"running", "completed"}
		if n%3 == 0 {
			want[1] = "failed"
		}
		var got []string
		all := statuses[fmt.Sprintf("%s-%d", w.user, n)]
		for _, seq := range slices.Sorted(maps.Keys(all)) {
			got = append(got, all[seq])
		}
		if !slices.Equal(got, want) {
			w.t.Errorf("task %d: statuses %q, want %q", n, got, want)
		}
	}
	if used := w.transports[strings.LastIndexByte(w.transports, ',')+1:]; last != used {
		w.t.Errorf("the client ended with the transport %s, want %s", last, used)
	}
	if err := w.command.Wait(); err != nil {
		w.t.Errorf("the client: %v\n%s", err, w.stderr.String())
	}
}
