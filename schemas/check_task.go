package schemas

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a task's members, in characters, counts or milliseconds. They are
// the ones in task.schema.json; a test compares the two.
const (
	MaxIDChars      = 200 // of a task_id
	maxNameChars    = 200
	maxLabels       = 64
	maxParents      = 1000
	maxAttemptBound = 100
	maxLimitMS      = 7 * 24 * 60 * 60 * 1000
	maxBackoffMS    = 366 * 24 * 60 * 60 * 1000
	maxMultiplier   = 100
	maxTTLMS        = 366 * 24 * 60 * 60 * 1000
	maxURLChars     = 2000
	maxStep         = 1<<31 - 1
)

const taskIDRule = "must be 1 to 200 of the characters A-Z a-z 0-9 . _ : @ ~ -"

// CheckTaskID says what is wrong with the id of a task that may be submitted, looked up or watched, "" if nothing is.
// It refuses also the two ids that no address can hold: clients and proxies take them for directories and leave them
// out. [TaskKey.Check] does not: records of tasks that were refused for that have them.
func CheckTaskID(id string) string {
	if id == "." || id == ".." {
		return "must not be . or .., which no address of the API can hold; add another character"
	}
	return checkTaskID(id)
}

// CheckUserID says what is wrong with a user id, "" if nothing is.
func CheckUserID(id string) string { return checkUserID(id) }

// CheckPrintable says which character of a name cannot be seen, "" if all can.
func CheckPrintable(s string) string { return checkPrintable(s) }

// CheckCallbackURL says what is wrong with a callback_url, "" if nothing is.
func CheckCallbackURL(url string) string { return checkCallback(url) }

func checkTaskID(id string) string {
	if id == "" {
		return missing + "; give the task an id of its own"
	}
	if !validTaskID(id) {
		return taskIDRule
	}
	return ""
}

func checkOptionalID(id string) string {
	if id == "" {
		return ""
	}
	return checkTaskID(id)
}

// validTaskID is the schema's pattern spelled out: this runs for every task.
func validTaskID(id string) bool {
	if len(id) < 1 || len(id) > MaxIDChars {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("._:@~-", c) < 0 {
			return false
		}
	}
	return true
}

func checkUserID(id string) string {
	return checkText(id, MaxIDChars, "name the user the task belongs to")
}

func checkText(s string, most int, advice string) string {
	switch {
	case s == "":
		return missing + "; " + advice
	case len(s) > most && utf8.RuneCountInString(s) > most:
		return tooLong(s, most)
	}
	return checkPrintable(s)
}

// check says which member is at fault and why; the problem is "" if none is.
func (t *Task) check() (field, problem string) {
	checks := [...]struct {
		field   string
		problem string
	}{
		{"task_id", CheckTaskID(t.TaskID)},
		{"user_id", checkUserID(t.UserID)},
		{"task_name", checkText(t.TaskName, maxNameChars, "say what to do, for example \"analyze_text\"")},
		{"mode", checkText(t.Mode, maxNameChars, "together with service it names who does the work, for example \"chat\"")},
		{"service", checkText(t.Service, maxNameChars,
			"together with mode it names who does the work, for example \"text_analyzer\"")},
		{"input_data", checkObject(t.InputData)},
		{"context", checkObject(t.Context)},
		{"step", checkRange(t.Step, -maxStep-1, maxStep)},
		{"priority", checkRange(t.Priority, 0, 10)},
		{"soft_time_limit_ms", checkRange(t.SoftTimeLimitMS, 1, maxLimitMS)},
		{"time_limit_ms", checkRange(t.TimeLimitMS, 1, maxLimitMS)},
		{"version", checkName(t.Version, maxNameChars)},
		{"batch_id", checkName(t.BatchID, MaxIDChars)},
		{"retry_of", checkOptionalID(t.RetryOf)},
		{"labels", checkLabels(t.Labels)},
		{"depends_on", checkParents(t.DependsOn)},
		{"on_dependency_failure", checkOneOf(t.OnDependencyFailure, "cancel", "run")},
		{"on_success", checkObject(t.OnSuccess)},
		{"on_failure", checkObject(t.OnFailure)},
		{"callback_url", checkCallback(t.CallbackURL)},
	}
	for _, c := range checks {
		if c.problem != "" {
			return c.field, c.problem
		}
	}
	if t.SoftTimeLimitMS != nil && t.TimeLimitMS != nil && *t.SoftTimeLimitMS > *t.TimeLimitMS {
		return "soft_time_limit_ms", "must not be above time_limit_ms; lower one or leave it out"
	}
	if field, problem = t.Retry.check(); problem != "" {
		return field, problem
	}
	return t.Unique.check()
}

func (r *Retry) check() (field, problem string) {
	if r == nil {
		return "", ""
	}
	if p := checkRange(r.MaxAttempts, 1, maxAttemptBound); p != "" {
		return "retry.max_attempts", p
	}
	if p := checkRange(r.BackoffMS, 0, maxBackoffMS); p != "" {
		return "retry.backoff_ms", p
	}
	if p := checkRange(r.MaxBackoffMS, 0, maxBackoffMS); p != "" {
		return "retry.max_backoff_ms", p
	}
	if p := checkRange(r.Multiplier, 1, maxMultiplier); p != "" {
		return "retry.multiplier", p
	}
	return "", ""
}

func checkRange[T int | int64 | float64](p *T, low, high T) string {
	if p != nil && (*p < low || *p > high) {
		return fmt.Sprintf("must be between %v and %v, not %v", low, high, *p)
	}
	return ""
}

func checkLength(s string, most int) string {
	if len(s) > most && utf8.RuneCountInString(s) > most {
		return tooLong(s, most)
	}
	return ""
}

func tooLong(s string, most int) string {
	return fmt.Sprintf("must have at most %d characters, not %d", most, utf8.RuneCountInString(s))
}

func checkObject(v jsontext.Value) string {
	if len(v) == 0 || v.Kind() == jsontext.KindBeginObject || v.Kind() == jsontext.KindNull {
		return ""
	}
	return "must be an object, not " + kindName(v.Kind())
}

func checkLabels(labels map[string]string) string {
	if len(labels) > maxLabels {
		return fmt.Sprintf("must have at most %d entries, not %d", maxLabels, len(labels))
	}
	for name, value := range labels {
		if checkText(name, maxNameChars, "") != "" || checkLength(value, maxNameChars) != "" {
			if p := checkPrintable(name); p != "" {
				return "must have names of text: one " + p
			}
			return fmt.Sprintf("must have names of 1 to %d and values of at most %[1]d characters", maxNameChars)
		}
	}
	return ""
}

func checkParents(ids []string) string {
	if len(ids) > maxParents {
		return fmt.Sprintf("must name at most %d tasks, not %d", maxParents, len(ids))
	}
	for _, id := range ids {
		if !validTaskID(id) {
			return fmt.Sprintf("has the id %q; every one %s", cut(id, maxQuoted), taskIDRule)
		}
	}
	return ""
}

func checkOneOf(s string, allowed ...string) string {
	for _, a := range allowed {
		if s == "" || s == a {
			return ""
		}
	}
	return "must be one of " + strings.Join(allowed, ", ") + ", not " + strconv.Quote(cut(s, maxQuoted))
}
