package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// task is a task to be sent.
type task struct {
	lane    string
	user    string
	id      string
	name    string
	service string // debug/echo's, if empty
	input   map[string]any
	more    map[string]any // further members
	clock   time.Duration  // how far its sender's clock is ahead
}

// key is how the book knows it.
func (t task) key() string { return t.user + "/" + t.id }

func (t task) encode() []byte {
	service := t.service
	if service == "" {
		service = "echo"
	}
	members := map[string]any{
		"task_id": t.id, "user_id": t.user, "task_name": t.name, "mode": "debug", "service": service,
		"created_at": time.Now().Add(t.clock).UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	if t.input != nil {
		members["input_data"] = t.input
	}
	for name, value := range t.more {
		members[name] = value
	}
	encoded, err := json.Marshal(members)
	if err != nil {
		panic(fmt.Sprintf("encode task: %v", err)) // maps of numbers and texts
	}
	return encoded
}

// mix draws the tasks of the steady load.
type mix struct {
	random *rand.Rand
	config *config
	count  int
	unique task // the last of the unique ones
}

// next is a task of the mix. Nothing in it ends a process.
func (m *mix) next() task {
	m.count++
	t := task{
		lane: lanes()[m.random.IntN(2)], user: fmt.Sprint("user-", m.random.IntN(m.config.users)),
		id: fmt.Sprint("t-", m.count), more: map[string]any{"priority": m.random.IntN(11)},
	}
	switch n := m.random.IntN(1000); {
	case n < 600:
		t.name, t.input = "echo", map[string]any{"n": m.count}
	case n < 800:
		t.name, t.input = "sleep", map[string]any{"ms": m.random.IntN(200)}
	case n < 880:
		t.name, t.input = "progress", map[string]any{"steps": 1 + m.random.IntN(5), "step_ms": m.random.IntN(40)}
	case n < 920:
		t.name, t.input = "stream", map[string]any{"pieces": 1 + m.random.IntN(20), "piece_ms": m.random.IntN(10)}
	case n < 950:
		t.name, t.input = "fail", map[string]any{"message": "as told"}
		if m.config.delays && m.random.IntN(2) == 0 {
			t.input["retryable"], t.input["times"] = true, 1+m.random.IntN(2)
			t.more["retry"] = map[string]any{"backoff_ms": m.random.IntN(4000)}
		}
	case n < 965:
		t.name = "panic"
	case n < 975:
		t.name, t.input = "hang", map[string]any{"ms": 400}
		t.more["time_limit_ms"] = 200
	default:
		t.name, t.input = "sleep", map[string]any{"ms": 1000 + m.random.IntN(1500)}
	}
	if m.config.delays && m.random.IntN(10) == 0 {
		delay(&t, time.Duration(1000+m.random.IntN(9000))*time.Millisecond)
	}
	if m.random.IntN(20) == 0 {
		m.claim(&t)
	}
	return t
}

// claim makes a task unique, often with the content of the one before.
func (m *mix) claim(t *task) {
	if m.unique.id != "" && m.random.IntN(3) > 0 {
		t.user, t.lane, t.more["unique"] = m.unique.user, m.unique.lane, m.unique.more["unique"]
	} else {
		t.more["unique"] = unique(t.id)
	}
	m.unique = *t
}

// unique is a claim to a content that outlasts the run.
func unique(key string) map[string]any {
	return map[string]any{"key": key, "ttl_ms": (48 * time.Hour).Milliseconds()}
}

// delay makes a task wait.
func delay(t *task, wait time.Duration) {
	t.more["not_before"] = time.Now().Add(wait).UTC().Format("2006-01-02T15:04:05.000Z")
}

// slow is a burst of tasks that take a while, so that processors hold work when
// a fault comes.
func slow(random *rand.Rand, count int) []task {
	tasks := make([]task, count)
	name := fmt.Sprintf("slow-%08x-", random.Uint32())
	for i := range tasks {
		tasks[i] = task{
			lane: lanes()[i%2], user: fmt.Sprint(name, i), id: fmt.Sprint(name, i), name: "sleep",
			input: map[string]any{"ms": 1000 + random.IntN(1500)}, more: map[string]any{"priority": 10},
		}
	}
	return tasks
}

// several are tasks of one kind, each of a user of its own.
func several(random *rand.Rand, count int, of task) []task {
	tasks := make([]task, count)
	name := fmt.Sprintf("%s-%08x-", of.name, random.Uint32())
	for i := range tasks {
		tasks[i] = of
		tasks[i].lane, tasks[i].user, tasks[i].id = lanes()[i%2], fmt.Sprint(name, i), fmt.Sprint(name, i)
	}
	return tasks
}
