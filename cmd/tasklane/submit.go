package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// submitFlags are what `submit` is told.
type submitFlags struct {
	remote
	lane, name, mode, service string
	input, context, taskID    string
	step, priority            int
	timeLimit, unique         time.Duration
	uniqueKey                 string
	watch, wait               bool
}

func (a *app) submitCommand() *cobra.Command {
	f := new(submitFlags)
	cmd := &cobra.Command{
		Use:   "submit",
		Short: "Submits a task",
		Long: `Submits a task and prints its id once the broker has it. With --wait it prints
the result, with --watch every event until the task has ended; both end with 1
if the task did not complete.

Submitting again with the same --task-id never makes a second task. With --unique a
task with another id is not run either while one with the same content is unfinished
or has completed: it ends as cancelled with error_code duplicate.`,
		Example: `  tasklane submit --user alice --mode chat --service text_analyzer --name detect_language \
      --input '{"text": "Guten Morgen"}' --wait
  echo '{"text": "what a day"}' | tasklane submit --user alice --lane heavy \
      --mode chat --service text_analyzer --name analyze_sentiment --input - --watch`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			task, err := f.task(cmd.Flags(), a.stdin)
			if err != nil {
				return err
			}
			return f.with(cmd, a, func(ctx context.Context, c *client.Client) error { return a.submit(ctx, c, f, task) })
		},
	}
	f.addTo(cmd.Flags())
	return cmd
}

func (f *submitFlags) addTo(flags *pflag.FlagSet) {
	f.remote.addTo(flags)
	flags.StringVar(&f.lane, "lane", schemas.LaneFast, "lane to run in: fast, heavy or another that is configured")
	flags.StringVar(&f.name, "name", "", "task name: what the service is to do")
	flags.StringVar(&f.mode, "mode", "", "mode of the service, for example chat")
	flags.StringVar(&f.service, "service", "", "name of the service, for example text_analyzer")
	flags.StringVar(&f.input, "input", "", "input_data: a JSON object, @FILE, or - for standard input")
	flags.StringVar(&f.context, "context", "", "context: a JSON object, @FILE, or - for standard input")
	flags.StringVar(&f.taskID, "task-id", "", "id of the task; a new one if not given")
	flags.IntVar(&f.step, "step", schemas.DefaultStep, "step shown with every event")
	flags.IntVar(&f.priority, "priority", schemas.DefaultPriority, "0 to 10, higher runs first")
	flags.DurationVar(&f.timeLimit, "time-limit", 0, "time limit of an attempt, for example 30m; the processor's if not given")
	flags.DurationVar(&f.unique, "unique", 0, "for so long no other task of the user with the same content runs, for example 10m")
	flags.StringVar(&f.uniqueKey, "unique-key", "", "with --unique: what the content is; service, name and input if not given")
	flags.BoolVar(&f.watch, "watch", false, "print every event until the task has ended")
	flags.BoolVar(&f.wait, "wait", false, "wait for the task's end and print the result")
}

// task is the task on the command line.
func (f *submitFlags) task(given *pflag.FlagSet, stdin io.Reader) (schemas.Task, error) {
	if f.input == "-" && f.context == "-" {
		return schemas.Task{}, usagef("only one of --input and --context can be standard input")
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
		InputData: input, Context: options,
	}
	if given.Changed("step") {
		task.Step = &f.step
	}
	if given.Changed("priority") {
		task.Priority = &f.priority
	}
	if given.Changed("time-limit") {
		ms := f.timeLimit.Milliseconds()
		task.TimeLimitMS = &ms
	}
	if given.Changed("unique") {
		task.Unique = &schemas.Unique{TTLMS: f.unique.Milliseconds(), Key: f.uniqueKey}
	} else if f.uniqueKey != "" {
		return task, usagef("--unique-key needs --unique, which says for how long")
	}
	return task, f.check(task)
}

func (f *submitFlags) check(task schemas.Task) error {
	if f.watch && f.wait {
		return usagef("--watch waits too: give one of --watch and --wait")
	}
	if err := schemas.CheckLanes([]string{f.lane}); err != nil {
		return usageError{err}
	}
	if task.TaskID == "" {
		task.TaskID = "new" // any valid one, for the check
	}
	encoded, err := task.Encode()
	if err != nil {
		return usageError{err}
	}
	if _, err := schemas.DecodeTask(encoded); err != nil {
		return usageError{err}
	}
	return nil
}

// readObject reads a JSON object given on the command line, in a file or on
// standard input.
func readObject(flag, value string, stdin io.Reader) (jsontext.Value, error) {
	var content []byte
	var err error
	switch name, isFile := strings.CutPrefix(value, "@"); {
	case value == "":
		return nil, nil
	case value == "-":
		content, err = io.ReadAll(io.LimitReader(stdin, schemas.MaxTaskBytes+1))
	case isFile:
		content, err = readFile(name)
	default:
		content = []byte(value)
	}
	if err != nil {
		return nil, usagef("read %s: %w", flag, err)
	}
	if len(content) > schemas.MaxTaskBytes {
		return nil, usagef("%s has more than the %d bytes a task may have", flag, schemas.MaxTaskBytes)
	}
	object := jsontext.Value(content)
	if !object.IsValid() || object.Kind() != jsontext.KindBeginObject {
		return nil, usagef("%s must be one JSON object such as '{\"text\": \"hello\"}', @FILE or -", flag)
	}
	if err := object.Compact(); err != nil {
		return nil, usagef("read %s: %w", flag, err)
	}
	return object, nil
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // named by the person at the command line
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, schemas.MaxTaskBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	return content, nil
}

func (a *app) submit(ctx context.Context, c *client.Client, f *submitFlags, task schemas.Task) error {
	handle, err := c.Submit(ctx, f.lane, task)
	switch {
	case client.OutcomeUnknown(err):
		return fmt.Errorf("%w (its outcome is unknown; submitting it again with --task-id %s is safe)", err, handle.TaskID)
	case err != nil:
		return err
	case f.watch:
		a.log.Info("submitted", "task_id", handle.TaskID, "lane", handle.Lane)
		request := client.WatchRequest{UserID: handle.UserID, TaskID: handle.TaskID, Since: handle.Cursor}
		return a.watchTask(ctx, c, request, f.form)
	case f.wait:
		a.log.Info("submitted", "task_id", handle.TaskID, "lane", handle.Lane)
		return a.awaitResult(ctx, handle, f.form)
	}
	return a.printer(f.form).one(submitted{handle.TaskID, handle.UserID, handle.Lane, handle.Status, handle.Cursor})
}

// submitted is an accepted task as it is printed.
type submitted struct {
	TaskID string         `json:"task_id"`
	UserID string         `json:"user_id"`
	Lane   string         `json:"lane"`
	Status schemas.Status `json:"status"`
	Cursor string         `json:"cursor"`
}

func (s submitted) columns() []string { return []string{"TASK_ID", "USER_ID", "LANE", "STATUS"} }

func (s submitted) cells() []string { return []string{s.TaskID, s.UserID, s.Lane, string(s.Status)} }
