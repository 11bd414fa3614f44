package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func (con *Console) resultCommand() *cobra.Command {
	r := new(connection)
	var wait bool
	cmd := &cobra.Command{
		Use:        "result TASK_ID",
		SuggestFor: []string{"output", "wait", "answer"},
		Short:      "Prints a task's result",
		Long: `Prints a task's result, with --wait once the task has ended. Ends with 1 if the
task did not complete, has not ended yet, or is lost. To be interrupted ends the
waiting and not the task.`,
		Example: "  tasklane result --user alice 0190f3c2-7d1e-7c3a-9a55-0c1f6f1c2b11 --wait",
		Args:    oneTaskID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTaskID(args[0]); err != nil {
				return err
			}
			return r.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				if wait {
					return con.awaitResult(ctx, c, c.Handle(r.user, args[0]), r.form)
				}
				result, ended, err := c.Result(ctx, r.user, args[0])
				if err != nil {
					return err
				}
				if !ended {
					return fmt.Errorf("task %s has not ended yet; wait for it with --wait", args[0])
				}
				return con.printResult(args[0], result, r.form)
			})
		},
	}
	r.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the task's end")
	return cmd
}

// awaitResult prints the result once the task has ended, and says meanwhile what keeps it from being run.
func (con *Console) awaitResult(ctx context.Context, c *client.Client, handle *client.Handle, form Form) error {
	defer con.startWarning(ctx, c, client.WatchRequest{UserID: handle.UserID, TaskID: handle.TaskID})()
	result, err := handle.Wait(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return interruptedWait(ctx, c, handle.UserID, handle.TaskID,
			commandLine("result", handle.UserID, handle.TaskID, "--wait"))
	case err != nil:
		return err
	}
	return con.printResult(handle.TaskID, result, form)
}

// printResult prints the result and turns anything but completed into an error.
func (con *Console) printResult(taskID string, result schemas.Result, form Form) error {
	if err := con.Printer(form).One(resultRow{TaskID: taskID, Result: result}); err != nil {
		return err
	}
	return checkCompleted(taskID, result)
}

func checkCompleted(taskID string, result schemas.Result) error {
	if result.Status == schemas.Completed {
		return nil
	}
	return fmt.Errorf("task %s: %s: %s", taskID, result.Status, text(result.Error))
}

func text(s *string) string {
	if s == nil {
		return "no reason given"
	}
	return *s
}

// resultRow is a task's result as it is printed.
type resultRow struct {
	TaskID string `json:"task_id"`
	schemas.Result
}

func (r resultRow) Columns() []string { return []string{"TASK_ID", "STATUS", "TASK", "RESULT"} }

func (r resultRow) Cells() []string {
	shown := string(r.Result.Result)
	if r.Error != nil {
		shown = *r.Error
	}
	return []string{r.TaskID, string(r.Status), r.Task, shown}
}
