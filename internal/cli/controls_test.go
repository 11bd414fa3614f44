package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// controls is the API's /v1/controls, as far as the command line needs it.
type controls struct {
	mu      sync.Mutex
	set     []schemas.Control
	lifted  []string // METHOD's path and query
	refuse  string   // the detail of a refusal, "" for none
	warning string
	pages   [][]schemas.Control
}

func (c *controls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := func(v any) { _ = json.MarshalWrite(w, v) }
	switch {
	case c.refuse != "":
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		answer(map[string]any{"status": 422, "title": "Unprocessable Entity", "detail": c.refuse})
	case r.Method == http.MethodPost:
		var control schemas.Control
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &control); err != nil || strings.Contains(string(body), `"time"`) {
			w.WriteHeader(http.StatusBadRequest) // a control on its way has no time: it is the server's
			return
		}
		c.set = append(c.set, control)
		control.Time = schemas.AtTime(time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC))
		answer(struct {
			Key     string `json:"key"`
			Warning string `json:"warning,omitzero"`
			schemas.Control
		}{control.Key(), c.warning, control})
	case r.Method == http.MethodDelete:
		c.lifted = append(c.lifted, r.URL.EscapedPath()+"?"+r.URL.RawQuery)
		answer(map[string]any{"was_in_force": len(c.lifted) == 1})
	default:
		page := len(r.URL.Query().Get("cursor"))
		next := ""
		if page+1 < len(c.pages) {
			next = strings.Repeat("x", page+1)
		}
		answer(map[string]any{"controls": c.pages[page], "next_cursor": next})
	}
}

// operator is a terminal at such an API.
func operator(t *testing.T) (*controls, *terminal) {
	t.Helper()
	c := new(controls)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, &terminal{server: server.URL}
}

func TestControlsAreSet(t *testing.T) {
	for line, want := range map[string]struct{ key, printed string }{
		"pause lane heavy --reason upgrade --by ops": {"pause/lane/heavy", "upgrade"},
		"pause task a/b/t-1":                         {"pause/task/a%2Fb/t-1", "no end set"},
		"pause user alice --for 2h":                  {"pause/user/alice", "20"},
		"kill task_name summarize": {"kill_switch/task_name/summarize",
			"2026-01-31T09:30:00Z"},
		"limits service chat/openai --max-running 20":                 {"limits/service/chat/openai", "20 running"},
		"limits user alice --max-running 0 --max-starts-per-s 0.5":    {"limits/user/alice", "0 running, 0.5/s"},
		"limits lane fast --max-starts-per-s 3 --for 30m --reason go": {"limits/lane/fast", "3/s"},
	} {
		c, ops := operator(t)
		ops.do(t, line).prints(t, want.printed)
		if len(c.set) != 1 || c.set[0].Key() != want.key {
			t.Fatalf("%s: sent %+v", line, c.set)
		}
		if sent := c.set[0]; strings.Contains(line, "--for") != (sent.ExpiresAt != nil) ||
			strings.Contains(line, "--reason") != (sent.Reason != "") || strings.Contains(line, "--by") != (sent.By != "") {
			t.Errorf("%s: sent %+v", line, sent)
		}
	}
}

func TestControlsEndWhenTheyShould(t *testing.T) {
	c, ops := operator(t)
	before := time.Now()
	ops.do(t, "kill user mallory --for 24h -o jsonl").prints(t, `"key":"kill_switch/user/mallory"`)
	if left := c.set[0].ExpiresAt.Sub(before); left < 24*time.Hour-time.Second || left > 24*time.Hour+time.Minute {
		t.Errorf("it ends after %v", left)
	}
}

func TestControlsAreLifted(t *testing.T) {
	for line, path := range map[string]string{
		"resume lane heavy --by ops --reason done": "/v1/controls/pause/lane/heavy?by=ops&reason=done",
		"resume task a/b/t-1":                      "/v1/controls/pause/task/a%2Fb/t-1?",
		"kill task_name summarize --off":           "/v1/controls/kill_switch/task_name/summarize?",
		"limits service chat/openai --off":         "/v1/controls/limits/service/chat/openai?",
	} {
		c, ops := operator(t)
		ops.do(t, line).prints(t, "true")
		ops.do(t, line+" -o jsonl").prints(t, `"was_in_force":false`)
		if len(c.lifted) != 2 || c.lifted[0] != path || len(c.set) != 0 {
			t.Errorf("%s: %+v", line, c.lifted)
		}
	}
}

func TestWrongControlsAreNotSent(t *testing.T) {
	c, ops := operator(t)
	for line, says := range map[string]string{
		"pause lane":                             "TYPE and NAME, for example lane heavy",
		"pause planet earth":                     "task_name, service, user, lane",
		"pause lane FAST":                        "lane",
		"pause task t-1":                         "USER/TASK_ID",
		"pause service chat":                     "MODE/SERVICE",
		"pause lane fast --for -1h":              "not what is wanted", // cmd says what is
		"kill lane fast --off --for 1h":          "one of --off and --for",
		"limits lane fast":                       "--max-running",
		"limits lane fast --off --max-running 1": "--off alone",
		"limits lane fast --max-running -1":      "limits.max_running",
		"limits lane fast --max-starts-per-s 0":  "limits.max_starts_per_s",
		"limits task a/t-1 --max-running 1":      "target.type",
		"inspect controls --kind resume":         "kill_switch",
	} {
		ops.do(t, line).fails(t, says)
	}
	if len(c.set)+len(c.lifted) != 0 {
		t.Errorf("sent %+v %v", c.set, c.lifted)
	}
}

func TestControlsThatTheServerRefusesOrWarnsOf(t *testing.T) {
	c, ops := operator(t)
	c.warning = "no task of the service chat/openia has been seen"
	got := ops.do(t, "pause service chat/openia")
	if got.err != nil || !strings.Contains(got.log, "chat/openia has been seen") {
		t.Errorf("%+v", got)
	}
	c.refuse = "there is no such lane; name one of: fast, heavy"
	for _, line := range []string{"pause lane fats", "resume lane fats", "limits lane fats --off", "inspect controls"} {
		got := ops.do(t, line)
		got.fails(t, "fast, heavy")
		if isUsage(got.err) {
			t.Errorf("%s: a refusal is no mistake of form: %v", line, got.err)
		}
	}
}

func TestControlsAreListedOverPages(t *testing.T) {
	c, ops := operator(t)
	c.pages = [][]schemas.Control{{}, {}, {}}
	for i := range 25 {
		control := schemas.Control{
			Kind: schemas.ControlPause, Target: schemas.Target{Type: schemas.TargetUser, UserID: fmt.Sprint("user-", i)},
			Time: schemas.AtTime(time.Date(2026, 1, 31, 9, i, 0, 0, time.UTC)), Reason: "because\x1b[2J",
		}
		c.pages[i/10] = append(c.pages[i/10], control)
	}
	table := ops.do(t, "inspect controls")
	if n := strings.Count(table.stdout, "\n"); table.err != nil || n != 26 || !strings.HasPrefix(table.stdout, "KEY") {
		t.Errorf("%d lines and error %v:\n%s", n, table.err, table.stdout)
	}
	if strings.Contains(table.stdout, "\x1b") {
		t.Error("a reason can move the terminal's cursor")
	}
	documents := ops.do(t, "inspect controls --kind pause -o jsonl").lines(t)
	if len(documents) != 25 || documents[24]["key"] != "pause/user/user-24" {
		t.Errorf("%d documents", len(documents))
	}
	c.pages = [][]schemas.Control{{}}
	if got := ops.do(t, "inspect controls"); got.err != nil || got.stdout != "" {
		t.Errorf("nothing in force: %+v", got)
	}
}
