package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// childEnv makes this test binary a child of a subprocess service. Its value is the directory that they share with the
// test.
const childEnv = "TASKLANE_E2E_CHILD"

// child speaks the protocol of docs/SUBPROCESS.md by hand. Its tasks:
//
//   - hold goes on until the file "go" is there;
//   - count ends at once;
//   - slow ends when it is told to;
//   - parent submits three tasks, and ends the process at its first attempt.
type child struct {
	dir string
	in  *bufio.Reader
	mu  sync.Mutex
	out *os.File
}

// ran is a line of the file "runs": a task that was begun.
type ran struct {
	TaskID  string
	Attempt int
	PID     int
}

func childMain(dir string) int {
	alive, err := os.Create(filepath.Join(dir, fmt.Sprint("alive-", os.Getpid())))
	if err == nil {
		err = syscall.Flock(int(alive.Fd()), syscall.LOCK_EX) // as long as the process lives
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := &child{dir: dir, in: bufio.NewReader(os.NewFile(3, "in")), out: os.NewFile(4, "out")}
	c.say(`{"type":"ready","protocol":1,"max_inflight":4,"ping":true,"version":"v7","tasks":{"hold":{},"parent":{},` +
		`"count":{"description":"Counts.","input":{"type":"object","required":["n"]}},` +
		`"slow":{"soft_time_limit_ms":50,"time_limit_ms":60000}}}`)
	for {
		var m struct {
			Type, ID, Reason string
			Attempt          int
			Task             struct {
				TaskID   string `json:"task_id"`
				TaskName string `json:"task_name"`
			}
		}
		line, err := c.in.ReadBytes('\n')
		if err != nil || json.Unmarshal(line, &m) != nil || m.Type == "shutdown" {
			return 0
		}
		switch m.Type {
		case "ping":
			c.say(`{"type":"pong"}`)
		case "cancel":
			c.say(`{"type":"cancelled","id":%q}`, m.ID)
		case "task":
			c.note(ran{m.Task.TaskID, m.Attempt, os.Getpid()})
			switch m.Task.TaskName {
			case "count":
				c.say(`{"type":"result","id":%q,"result":%d}`, m.ID, os.Getpid())
			case "hold":
				go c.hold(m.ID)
			case "parent":
				ids := c.submit(m.ID)
				if m.Attempt == 1 {
					return 9
				}
				c.say(`{"type":"result","id":%q,"result":%q}`, m.ID, strings.Join(ids, " "))
			}
		}
	}
}

func (c *child) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = fmt.Fprintf(c.out, format+"\n", args...) // the test sees what is missing
}

// note writes a line in one piece: others write too.
func (c *child) note(r ran) {
	f, err := os.OpenFile(filepath.Join(c.dir, "runs"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, "%s %d %d\n", r.TaskID, r.Attempt, r.PID)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = f.Close()
}

func (c *child) hold(id string) {
	for {
		if _, err := os.Stat(filepath.Join(c.dir, "go")); err == nil {
			c.say(`{"type":"result","id":%q,"result":%d}`, id, os.Getpid())
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// submit submits tasks until they are on their lanes, and gives their ids. Nothing else comes meanwhile.
func (c *child) submit(id string) (ids []string) {
	for n := range 3 {
		c.say(`{"type":"submit","id":%q,"ref":"%d","task":{"mode":"debug","service":"echo","task_name":"echo",`+
			`"lane":"heavy","input_data":{"n":%d}}}`, id, n, n)
		var answer struct {
			TaskID string `json:"task_id"`
			Error  string
		}
		line, err := c.in.ReadBytes('\n')
		if err != nil || json.Unmarshal(line, &answer) != nil || answer.Error != "" {
			return append(ids, "refused: "+string(line))
		}
		ids = append(ids, answer.TaskID)
	}
	return ids
}

// nursery is the directory of a test's children.
type nursery struct {
	t   *testing.T
	dir string
}

func newNursery(t *testing.T) *nursery {
	t.Helper()
	return &nursery{t, t.TempDir()}
}

// flags make a service test/child of the children.
func (n *nursery) flags(options string) []string {
	n.t.Helper()
	program, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	return []string{"--subprocess", "test/child=" + program + ";env=" + childEnv + "=" + n.dir + ";" + options}
}

// task is one for the children.
func (n *nursery) task(lane, user, id, name string, input map[string]any) map[string]any {
	task := newTask(lane, user, id, name, input)
	task["mode"], task["service"] = "test", "child"
	return task
}

// runs is what the children have begun, in that order.
func (n *nursery) runs() (all []ran) {
	n.t.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, "runs"))
	if err != nil && !os.IsNotExist(err) {
		n.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r ran
		if _, err := fmt.Sscan(line, &r.TaskID, &r.Attempt, &r.PID); err != nil {
			n.t.Fatalf("%q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// begun waits until so many tasks were begun.
func (n *nursery) begun(count int) []ran {
	n.t.Helper()
	waitFor(n.t, fmt.Sprint(count, " tasks in children"), func() bool { return len(n.runs()) >= count })
	return n.runs()
}

// letGo ends what holds.
func (n *nursery) letGo() {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, "go"), nil, 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// ended waits until a child has ended, whoever its parent is by then.
func (n *nursery) ended(pid int) {
	n.t.Helper()
	alive, err := os.Open(filepath.Join(n.dir, fmt.Sprint("alive-", pid)))
	if err != nil {
		n.t.Fatal(err)
	}
	defer alive.Close()
	waitFor(n.t, fmt.Sprint("the end of child ", pid), func() bool {
		return syscall.Flock(int(alive.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
	})
}
