package cli

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/schemas"
)

// task is the task on the command line.
func (f *submitFlags) task(given *pflag.FlagSet, stdin io.Reader) (schemas.Task, error) {
	if f.input == "-" && f.context == "-" {
		return schemas.Task{}, Usagef("only one of --input and --context can be standard input")
	}
	input, err := readObject("--input", f.input, stdin)
	if err != nil {
		return schemas.Task{}, err
	}
	options, err := readObject("--context", f.context, stdin)
	if err != nil {
		return schemas.Task{}, err
	}
	task := schemas.Task{
		TaskID: f.taskID, UserID: f.user, TaskName: f.name, Mode: f.mode, Service: f.service,
		InputData: input, Context: options, CallbackURL: f.callback,
	}
	if given.Changed("step") {
		task.Step = &f.step
	}
	if given.Changed("priority") {
		task.Priority = &f.priority
	}
	if task.TimeLimitMS, err = milliseconds(given, "time-limit", f.timeLimit); err != nil {
		return task, err
	}
	if task.SoftTimeLimitMS, err = milliseconds(given, "soft-limit", f.softLimit); err != nil {
		return task, err
	}
	if err := f.addMore(given, &task, time.Now()); err != nil {
		return task, err
	}
	if given.Changed("unique") {
		task.Unique = &schemas.Unique{TTLMS: f.unique.Milliseconds(), Key: f.uniqueKey}
	} else if f.uniqueKey != "" {
		return task, Usagef("--unique-key needs --unique, which says for how long")
	}
	return task, f.check(task)
}

func (f *submitFlags) check(task schemas.Task) error {
	if f.watch && f.wait {
		return Usagef("--watch waits too: give one of --watch and --wait")
	}
	if err := schemas.CheckLanes([]string{f.lane}); err != nil {
		return UsageError{err}
	}
	if task.TaskID == "" {
		task.TaskID = "new" // any valid one, for the check
	}
	if task.UserID == "" && f.token != "" {
		task.UserID = "token's" // which the server reads from the token
	}
	encoded, err := task.Encode()
	if err != nil {
		return UsageError{err}
	}
	_, err = schemas.DecodeTask(encoded)
	var invalid *schemas.InvalidTaskError
	if errors.As(err, &invalid) && flagOf(invalid.Field) != "" {
		return Usagef("--%s: invalid task: %s %s", flagOf(invalid.Field), invalid.Field, invalid.Problem)
	}
	return AsUsage(err)
}

// flagOf is the flag that sets a member of a task, "" if there is none.
func flagOf(field string) string {
	name, _, _ := strings.Cut(field, ".")
	switch name {
	case "task_id", "mode", "service", "step", "priority", "context", "not_before", "unique", "labels":
		return strings.TrimSuffix(strings.ReplaceAll(name, "_", "-"), "s")
	case "user_id":
		return "user"
	case "task_name":
		return "name"
	case "input_data":
		return "input"
	case "time_limit_ms":
		return "time-limit"
	case "soft_time_limit_ms":
		return "soft-limit"
	case "callback_url":
		return "callback"
	case "expires_at":
		return "expires"
	}
	return map[string]string{
		"retry.max_attempts": "retry", "retry.backoff_ms": "retry-backoff", "retry.max_backoff_ms": "retry-max-backoff",
	}[field]
}

// addMore adds when a task starts and expires, how it is tried again and its labels.
func (f *submitFlags) addMore(given *pflag.FlagSet, task *schemas.Task, now time.Time) (err error) {
	if task.NotBefore, err = readMoment("not-before", f.notBefore, now); err != nil {
		return err
	}
	if task.ExpiresAt, err = readMoment("expires", f.expires, now); err != nil {
		return err
	}
	for _, label := range f.labels {
		name, value, found := strings.Cut(label, "=")
		_, twice := task.Labels[name]
		switch {
		case !found || name == "":
			return Usagef("--label %q: want NAME=VALUE", label)
		case twice:
			return Usagef("--label %s is given more than once", name)
		case task.Labels == nil:
			task.Labels = map[string]string{}
		}
		task.Labels[name] = value
	}
	retry := new(schemas.Retry)
	if given.Changed("retry") {
		retry.MaxAttempts = &f.attempts
	}
	if retry.BackoffMS, err = milliseconds(given, "retry-backoff", f.backoff); err != nil {
		return err
	}
	if retry.MaxBackoffMS, err = milliseconds(given, "retry-max-backoff", f.maxBackoff); err != nil {
		return err
	}
	if given.Changed("retry") || retry.BackoffMS != nil || retry.MaxBackoffMS != nil {
		task.Retry = retry
	}
	return nil
}

// milliseconds is a flag's time as a task has it, nil if it is not given. Less than a
// millisecond would be none.
func milliseconds(given *pflag.FlagSet, flag string, d time.Duration) (*int64, error) {
	if !given.Changed(flag) {
		return nil, nil //nolint:nilnil // not given
	}
	if d != d.Truncate(time.Millisecond) {
		return nil, Usagef("--%s %s: want whole milliseconds", flag, d)
	}
	ms := d.Milliseconds()
	return &ms, nil
}

// readMoment reads a flag's time, or how long from now it is; "" is none.
func readMoment(flag, text string, now time.Time) (*schemas.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // not given
	}
	if wait, err := time.ParseDuration(text); err == nil && wait > 0 {
		at := schemas.AtTime(now.Add(wait))
		return &at, nil
	}
	at := new(schemas.Time)
	if err := at.UnmarshalText([]byte(text)); err != nil {
		return nil, Usagef("--%s %q: want a time such as 2026-01-31T09:30:00Z, or how long from now, such as 8h", flag, text)
	}
	return at, nil
}
