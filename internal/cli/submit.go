package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// submitFlags are what `submit` is told.
type submitFlags struct {
	connection
	lane, name, mode, service string
	input, context, taskID    string
	step, priority            int
	timeLimit, softLimit      time.Duration
	unique                    time.Duration
	uniqueKey                 string
	notBefore, expires        string
	callback                  string
	labels, files             []string
	attempts                  int
	backoff, maxBackoff       time.Duration
	watch, wait               bool
}

func (con *Console) submitCommand() *cobra.Command {
	f := new(submitFlags)
	cmd := &cobra.Command{
		Use: "submit",
		SuggestFor: []string{"send", "enqueue", "create", "add", "push", "run", "call", "apply", "apply_async",
			"delay"},
		Short: "Submits a task",
		Long: `Submits a task and prints its id once the broker has it. With --wait it prints
the result, with --watch every event until the task has ended; both end with 1
if the task did not complete.

Submitting again with the same --task-id never makes a second task. With --unique a
task with another id is not run either while one with the same content is unfinished
or has completed: it ends as cancelled with error_code duplicate.`,
		Example: `  tasklane submit --user alice --mode chat --service text_analyzer --name detect_language \
      --input '{"text": "Guten Morgen, wie geht es Ihnen heute?"}' --wait
  echo '{"text": "What a wonderful day!"}' | tasklane submit --user alice --lane heavy \
      --mode chat --service text_analyzer --name analyze_sentiment --input - --watch
  tasklane submit --user alice --mode chat --service text_analyzer --name summarize --input @letter.json \
      --not-before 8h --expires 24h --retry 5 --retry-backoff 10s --label team=support \
      --callback https://example.org/hook
  tasklane submit --user alice --mode data --service reports --name total --file table=sales.csv --wait`,
		Args: NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			task, err := f.task(cmd.Flags(), con.Stdin)
			if err != nil {
				return err
			}
			files, err := f.attachments(task.InputData)
			if err != nil {
				return err
			}
			return f.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				if err := con.attach(ctx, c, &task, files); err != nil {
					return err
				}
				return con.submit(ctx, c, f, task)
			})
		},
	}
	f.addTo(cmd.Flags())
	return cmd
}

func (f *submitFlags) addTo(flags *pflag.FlagSet) {
	f.connection.addTo(flags)
	flags.StringVar(&f.lane, "lane", schemas.LaneFast, "lane to run in: fast, heavy or another that is configured")
	flags.StringVar(&f.name, "name", "", "task name: what the service is to do")
	flags.StringVar(&f.mode, "mode", "", "mode of the service, for example chat")
	flags.StringVar(&f.service, "service", "", "name of the service, for example text_analyzer")
	flags.StringVar(&f.input, "input", "", "input_data: a JSON object, @FILE, or - for standard input")
	flags.StringVar(&f.context, "context", "", "context: a JSON object, @FILE, or - for standard input")
	flags.StringVar(&f.taskID, "task-id", "", "id of the task; a new one if not given")
	flags.IntVar(&f.step, "step", schemas.DefaultStep, "step shown with every event")
	flags.IntVar(&f.priority, "priority", schemas.DefaultPriority, "0 to 10, higher runs first")
	flags.DurationVar(&f.timeLimit, "time-limit", 0,
		"time limit of an attempt, for example 30m; the processor's if not given")
	flags.DurationVar(&f.softLimit, "soft-limit", 0,
		"when the service is asked to end an attempt, before --time-limit; a little before it if not given")
	flags.StringVar(&f.notBefore, "not-before", "",
		"when the task may start: a time such as 2026-01-31T09:30:00Z, or 8h from now")
	flags.StringVar(&f.expires, "expires", "",
		"when the task ends as cancelled if it has not been started: a time, or 8h from now")
	flags.IntVar(&f.attempts, "retry", schemas.DefaultMaxAttempts,
		"attempts in all where the service says that another may help")
	flags.DurationVar(&f.backoff, "retry-backoff", 0,
		"wait before the second attempt, which doubles with each, for example 10s; 1s if not given")
	flags.DurationVar(&f.maxBackoff, "retry-max-backoff", 0, "longest wait between two attempts; 5m if not given")
	flags.StringArrayVar(&f.labels, "label", nil, "NAME=VALUE kept with the task; may be given several times")
	flags.StringArrayVar(&f.files, "file", nil,
		"NAME=PATH stores the file and names it in input_data, as member NAME; may be given several times")
	flags.StringVar(&f.callback, "callback", "", "URL that the task's end is posted to (docs/WEBHOOKS.md)")
	flags.DurationVar(&f.unique, "unique", 0,
		"for so long no other task of the user with the same content runs, for example 10m")
	flags.StringVar(&f.uniqueKey, "unique-key", "",
		"with --unique: what the content is; service, name and input if not given")
	flags.BoolVar(&f.watch, "watch", false, "print every event until the task has ended")
	flags.BoolVar(&f.wait, "wait", false, "wait for the task's end and print the result")
}

func (con *Console) submit(ctx context.Context, c *client.Client, f *submitFlags, task schemas.Task) error {
	handle, err := c.Submit(ctx, f.lane, task)
	switch {
	case err != nil && ctx.Err() != nil && client.OutcomeUnknown(err):
		return interrupted(ctx, "before the server had answered, so it is not known whether the task was submitted; "+
			"submitting it again with --task-id %s is safe", handle.TaskID)
	case client.OutcomeUnknown(err):
		return fmt.Errorf("%w (its outcome is unknown; submitting it again with --task-id %s is safe)", err, handle.TaskID)
	case err != nil:
		return err
	case f.watch:
		con.Log.Info("submitted", "task_id", handle.TaskID, "lane", handle.Lane)
		request := client.WatchRequest{UserID: handle.UserID, TaskID: handle.TaskID, Since: handle.Cursor}
		return con.watchTask(ctx, c, request, f.form)
	case f.wait:
		con.Log.Info("submitted", "task_id", handle.TaskID, "lane", handle.Lane)
		return con.awaitResult(ctx, c, handle, f.form)
	}
	return con.Printer(f.form).One(submitted{handle.TaskID, handle.UserID, handle.Lane, handle.Status, handle.Cursor})
}

// submitted is an accepted task as it is printed.
type submitted struct {
	TaskID string         `json:"task_id"`
	UserID string         `json:"user_id"`
	Lane   string         `json:"lane"`
	Status schemas.Status `json:"status"`
	Cursor string         `json:"cursor"`
}

func (s submitted) Columns() []string { return []string{"TASK_ID", "USER_ID", "LANE", "STATUS"} }

func (s submitted) Cells() []string { return []string{s.TaskID, s.UserID, s.Lane, string(s.Status)} }
