package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func (a *app) watchCommand() *cobra.Command {
	r := new(remote)
	var taskID, since string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Prints a user's events as they come",
		Long: `Prints a user's events as they come, and comes back by itself after a broken
connection. With --task-id it prints one task's and ends when the task has, with
1 if it did not complete. Otherwise it goes on until it is interrupted.`,
		Example: `  tasklane watch --user alice
  tasklane watch --user alice --since earliest -o jsonl
  tasklane watch --user alice --task-id 0190f3c2-7d1e-7c3a-9a55-0c1f6f1c2b11 --since earliest`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if taskID != "" {
				if err := checkTaskID(taskID); err != nil {
					return err
				}
			}
			request := client.WatchRequest{UserID: r.user, TaskID: taskID, Since: since}
			return r.with(cmd, a, func(ctx context.Context, c *client.Client) error {
				err := a.watchTask(ctx, c, request, r.form)
				if ctx.Err() != nil && errors.Is(err, context.Canceled) {
					return nil // being interrupted is how a watch ends
				}
				return err
			})
		},
	}
	r.addTo(cmd.Flags())
	cmd.Flags().StringVar(&taskID, "task-id", "", "only this task's events, until it has ended")
	cmd.Flags().StringVar(&since, "since", client.SinceNow, "where to start: now, earliest, a cursor or an RFC 3339 time")
	return cmd
}

// watchTask prints events. If one task is watched, its terminal event ends it.
func (a *app) watchTask(ctx context.Context, c *client.Client, request client.WatchRequest, form outputForm) error {
	out := a.printer(form)
	request.Connected = func(hello client.Hello) {
		a.log.Debug("connected", "cursor", hello.Cursor, "recovered", hello.Recovered)
	}
	for event, err := range c.Watch(ctx, request) {
		if err != nil {
			return err
		}
		if err := out.line(eventRow{event}); err != nil {
			return err
		}
		if request.TaskID != "" && event.Terminal() {
			return checkCompleted(event.TaskID, schemas.ResultOf(&event.Event))
		}
	}
	return nil
}

// eventRow is an event as it is printed.
type eventRow struct{ client.Event }

func (e eventRow) columns() []string { return []string{"TIME", "TASK_ID", "STATUS", "WHAT"} }

func (e eventRow) cells() []string {
	return []string{e.Time.Format(time.TimeOnly + ".000"), e.TaskID, string(e.Status), e.what()}
}

func (e eventRow) what() string {
	switch {
	case e.Progress != nil:
		return fmt.Sprintf("%3.0f%% %d/%d %s", e.Progress.Percent, e.Progress.Current, e.Progress.Total, e.Progress.Unit)
	case e.Output != nil:
		return e.Output.Text
	case e.Usage != nil:
		return fmt.Sprintf("%s: %d tokens in, %d out", e.Usage.Model, e.Usage.InputTokens, e.Usage.OutputTokens)
	case e.Log != nil:
		return e.Log.Level + ": " + e.Log.Text
	case e.Error != "":
		return e.Message + ": " + e.Error
	case len(e.Result) > 0:
		return e.Message + ": " + string(e.Result)
	}
	return e.Message
}
