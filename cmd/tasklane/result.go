package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func (a *app) getCommand() *cobra.Command {
	r := new(remote)
	cmd := &cobra.Command{
		Use:     "get TASK_ID",
		Short:   "Prints where a task stands",
		Example: "  tasklane get --user alice 0190f3c2-7d1e-7c3a-9a55-0c1f6f1c2b11 -o json",
		Args:    oneTaskID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTaskID(args[0]); err != nil {
				return err
			}
			return r.with(cmd, a, func(ctx context.Context, c *client.Client) error {
				state, err := c.Get(ctx, r.user, args[0])
				if err != nil {
					return err
				}
				return a.printer(r.form).one(stateRow{state})
			})
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// stateRow is a task's state as it is printed.
type stateRow struct{ *client.TaskState }

func (s stateRow) columns() []string {
	return []string{"TASK_ID", "USER_ID", "LANE", "STATUS", "TASK_NAME", "SERVICE", "ATTEMPT", "MESSAGE"}
}

func (s stateRow) cells() []string {
	message := s.Message
	if s.Error != "" {
		message = s.Error
	}
	return []string{
		s.TaskID, s.UserID, s.Lane, string(s.Status), s.TaskName, s.Mode + "/" + s.Service, fmt.Sprint(s.Attempt), message,
	}
}

func (a *app) resultCommand() *cobra.Command {
	r := new(remote)
	var wait bool
	cmd := &cobra.Command{
		Use:   "result TASK_ID",
		Short: "Prints a task's result",
		Long: `Prints a task's result, with --wait once the task has ended. Ends with 1 if the
task did not complete, or has not ended yet.`,
		Example: "  tasklane result --user alice 0190f3c2-7d1e-7c3a-9a55-0c1f6f1c2b11 --wait",
		Args:    oneTaskID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTaskID(args[0]); err != nil {
				return err
			}
			return r.with(cmd, a, func(ctx context.Context, c *client.Client) error {
				if wait {
					return a.awaitResult(ctx, c.Handle(r.user, args[0]), r.form)
				}
				result, ended, err := c.Result(ctx, r.user, args[0])
				if err != nil {
					return err
				}
				if !ended {
					return fmt.Errorf("task %s has not ended yet; wait for it with --wait", args[0])
				}
				return a.printResult(args[0], result, r.form)
			})
		},
	}
	r.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the task's end")
	return cmd
}

func (a *app) awaitResult(ctx context.Context, handle *client.Handle, form outputForm) error {
	result, err := handle.Wait(ctx)
	if err != nil {
		return err
	}
	return a.printResult(handle.TaskID, result, form)
}

// printResult prints the result and turns anything but completed into an error.
func (a *app) printResult(taskID string, result schemas.Result, form outputForm) error {
	if err := a.printer(form).one(resultRow{TaskID: taskID, Result: result}); err != nil {
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

func (r resultRow) columns() []string { return []string{"TASK_ID", "STATUS", "TASK", "RESULT"} }

func (r resultRow) cells() []string {
	shown := string(r.Result.Result)
	if r.Error != nil {
		shown = *r.Error
	}
	return []string{r.TaskID, string(r.Status), r.Task, shown}
}
