package cli

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func (con *Console) watchCommand() *cobra.Command {
	r := new(connection)
	var taskID, since string
	cmd := &cobra.Command{
		Use:        "watch",
		SuggestFor: []string{"follow", "tail", "logs", "events", "subscribe"},
		Short:      "Prints a user's events as they come",
		Long: `Prints a user's events as they come, and comes back by itself after a broken
connection. With --task-id it prints one task's and ends when the task has, with
1 if it did not complete, or the watch was interrupted before. Otherwise it goes on
until it is interrupted. Standard error says when it is connected, when events may be
missing, and where to go on after an interruption.`,
		Example: `  tasklane watch --user alice
  tasklane watch --user alice --since earliest -o jsonl
  tasklane watch --user alice --task-id 0190f3c2-7d1e-7c3a-9a55-0c1f6f1c2b11 --since earliest`,
		Args: NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if taskID != "" {
				if err := checkTaskID(taskID); err != nil {
					return err
				}
			}
			request := client.WatchRequest{UserID: r.user, TaskID: taskID, Since: since}
			return r.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				return con.watchTask(ctx, c, request, r.form)
			})
		},
	}
	r.addTo(cmd.Flags())
	cmd.Flags().StringVar(&taskID, "task-id", "", "only this task's events, until it has ended")
	cmd.Flags().StringVar(&since, "since", client.SinceNow, "where to start: now, earliest, a cursor or an RFC 3339 time")
	return cmd
}

// watchTask prints events. If one task is watched, its terminal event ends it.
func (con *Console) watchTask(ctx context.Context, c *client.Client, request client.WatchRequest, form Form) error {
	out := con.Printer(form)
	cursor := request.Since
	request.Connected = func(hello client.Hello) {
		cursor = hello.Cursor
		con.Log.Info("connected; events are printed as they come", "cursor", hello.Cursor)
		if !hello.Recovered {
			con.Log.Warn("the place to start from is gone from the log: events before the cursor may be missing", "cursor",
				hello.Cursor)
		}
	}
	defer con.startWarning(ctx, c, request)()
	for event, err := range c.Watch(ctx, request) {
		if err != nil {
			return con.watchEnded(ctx, c, request, cursor, err)
		}
		if err := out.Line(eventRow{event}); err != nil {
			return err
		}
		cursor = event.Cursor
		if request.TaskID != "" && event.Terminal() {
			return checkCompleted(event.TaskID, schemas.ResultOf(&event.Event))
		}
	}
	return nil
}

// watchEnded is the end of a watch by an error. To be interrupted is how one ends that is not of one task.
func (con *Console) watchEnded(
	ctx context.Context, c *client.Client, request client.WatchRequest, cursor string, err error,
) error {
	if ctx.Err() == nil {
		return err
	}
	cursor = cmp.Or(cursor, client.SinceNow)
	if task := request.TaskID; task != "" {
		return interruptedWait(ctx, c, request.UserID, task,
			commandLine("watch", request.UserID, "--task-id", task, "--since", cursor))
	}
	con.Log.Info("interrupted; go on where it ended with: " + commandLine("watch", request.UserID, "--since", cursor))
	return nil
}

// warnEvery is the time between two looks at what keeps tasks from being run.
const warnEvery = 10 * time.Second

// startWarning warns in the background until the function that it returns is called.
func (con *Console) startWarning(ctx context.Context, c *client.Client, request client.WatchRequest) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var warner sync.WaitGroup
	warner.Go(func() { con.warn(ctx, c, request) })
	return func() {
		cancel()
		warner.Wait()
	}
}

// warn says what keeps the watched tasks from being run, each once for as long as it lasts,
// until the context ends. Where the API cannot be asked there is nothing to say.
func (con *Console) warn(ctx context.Context, c *client.Client, request client.WatchRequest) {
	said := map[string]bool{}
	for {
		now := map[string]bool{}
		if request.TaskID == "" {
			health, _ := c.Health(ctx)
			for _, warning := range health.Warnings {
				now[warning] = true
			}
		} else if state, err := c.Get(ctx, request.UserID, request.TaskID); err == nil && state.Warning != "" {
			now[state.Warning] = true
		}
		for warning := range now {
			if !said[warning] {
				con.Log.Warn(warning)
			}
		}
		said = now
		select {
		case <-ctx.Done():
			return
		case <-time.After(warnEvery):
		}
	}
}

// eventRow is an event as it is printed.
type eventRow struct{ client.Event }

func (e eventRow) Columns() []string { return []string{"TIME", "TASK_ID", "STATUS", "WHAT"} }

func (e eventRow) Cells() []string {
	return []string{e.Time.Format(time.TimeOnly + ".000"), e.TaskID, string(e.Status), e.what()}
}

// usageText is what a request used and cost.
func usageText(u *schemas.Usage) string {
	text := fmt.Sprintf("%s: %d tokens in, %d out", u.Model, u.InputTokens, u.OutputTokens)
	if u.CostPicodollars != nil {
		text += fmt.Sprintf(", $%.6f", float64(*u.CostPicodollars)/schemas.Picodollars)
	}
	return text
}

func (e eventRow) what() string {
	switch {
	case e.Progress != nil:
		return fmt.Sprintf("%3.0f%% %d/%d %s", e.Progress.Percent, e.Progress.Current, e.Progress.Total, e.Progress.Unit)
	case e.Kind == schemas.KindReset:
		return "(another attempt: the output so far is void)"
	case e.Output != nil:
		return e.Output.Text
	case e.Kind == schemas.KindUsage && e.Usage != nil:
		return usageText(e.Usage)
	case e.Log != nil:
		return e.Log.Level + ": " + e.Log.Text
	case e.Error != "":
		return e.Message + ": " + e.Error
	case len(e.Result) > 0:
		return e.Message + ": " + string(e.Result)
	}
	return e.Message + waitsFor(e.Waiting)
}
