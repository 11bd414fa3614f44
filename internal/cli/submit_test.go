package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/schemas"
)

// taskOf is the task of a command line, as `submit` would send it.
func taskOf(args ...string) (schemas.Task, error) {
	f := new(submitFlags)
	flags := pflag.NewFlagSet("submit", pflag.ContinueOnError)
	f.addTo(flags)
	base := []string{"--mode", "chat", "--service", "text_analyzer", "--name", "summarize"}
	if err := flags.Parse(append(base, args...)); err != nil {
		return schemas.Task{}, err
	}
	return f.task(flags, strings.NewReader(""))
}

func TestSubmitTakesWhatATaskCanHave(t *testing.T) {
	before := time.Now()
	task, err := taskOf("--user", "alice", "--not-before", "8h", "--retry", "5", "--retry-backoff", "1500ms",
		"--retry-max-backoff", "1m",
		"--label", "team=support", "--label", "empty=", "--label", "sum=1+1=2", "--soft-limit", "20s", "--time-limit", "30s",
		"--callback", "https://example.org/hook")
	if err != nil {
		t.Fatal(err)
	}
	if wait := task.NotBefore.Sub(before); wait < 8*time.Hour-time.Second || wait > 8*time.Hour+time.Minute {
		t.Errorf("not before %s", task.NotBefore)
	}
	if r := task.Retry; *r.MaxAttempts != 5 || *r.BackoffMS != 1500 || *r.MaxBackoffMS != 60000 ||
		*task.SoftTimeLimitMS != 20000 || *task.TimeLimitMS != 30000 {
		t.Errorf("%+v", task)
	}
	if l := task.Labels; len(l) != 3 || l["team"] != "support" || l["empty"] != "" || l["sum"] != "1+1=2" ||
		task.CallbackURL != "https://example.org/hook" {
		t.Errorf("%+v", task)
	}
	if task, err = taskOf("--user", "alice", "--not-before", "2030-01-31T09:30:00Z"); err != nil ||
		task.NotBefore.Year() != 2030 || task.Retry != nil || task.Labels != nil {
		t.Errorf("%+v, %v", task, err)
	}
	if task, err = taskOf("--user", "alice", "--expires", "2031-01-31T09:30:00Z"); err != nil ||
		task.ExpiresAt.Year() != 2031 || task.NotBefore != nil {
		t.Errorf("%+v, %v", task, err)
	}
	if task, err = taskOf("--user", "alice", "--expires", "90m"); err != nil ||
		task.ExpiresAt.Sub(before) < 89*time.Minute {
		t.Errorf("%+v, %v", task, err)
	}
	if task, err = taskOf("--user", "alice", "--retry-backoff", "2s"); err != nil || *task.Retry.BackoffMS != 2000 ||
		task.Retry.MaxAttempts != nil {
		t.Errorf("%+v, %v", task, err)
	}
	for says, args := range map[string][]string{
		"whole milliseconds":                {"--retry-backoff", "1500us"},
		"such as 8h":                        {"--not-before", "tomorrow"},
		"how long from now":                 {"--not-before", "-5m"},
		"--expires \"soon\": want a time":   {"--expires", "soon"},
		"want NAME=VALUE":                   {"--label", "team"},
		"team is given more than once":      {"--label", "team=a", "--label", "team=b"},
		"retry.max_attempts":                {"--retry", "0"},
		"callback_url":                      {"--callback", "example.org"},
		"soft_time_limit_ms":                {"--soft-limit", "2m", "--time-limit", "1m"},
		"user_id is missing; name the user": {"--user", ""},
		"must not be . or ..":               {"--task-id", ".."},
	} {
		if _, err := taskOf(append([]string{"--user", "alice"}, args...)...); err == nil ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %q", args, err, says)
		}
	}
}

// With a token a task without a user is the token's user's.
func TestSubmitNeedsNoUserWithAToken(t *testing.T) {
	task, err := taskOf("--token", "secret")
	if err != nil || task.UserID != "" {
		t.Errorf("%+v, %v", task, err)
	}
	if _, err := taskOf(); err == nil {
		t.Error("neither user nor token, and nothing is said")
	}
}
