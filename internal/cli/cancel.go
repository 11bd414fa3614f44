package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func (con *Console) cancelCommand() *cobra.Command {
	r := &connection{anyUser: true}
	var reason string
	cmd := &cobra.Command{
		Use:        "cancel TASK_ID",
		SuggestFor: []string{"revoke", "abort", "stop", "delete", "rm"},
		Short:      "Cancels a task",
		Long: `Cancels a task, wherever it waits or runs, and prints where it stood. The cancel
is on its way then: the task's end says whether it came in time. A task that has
ended, or is lost, cannot be cancelled any more.

With --user a task that has not been seen yet can be cancelled, too: it ends when
it comes, within seven days.`,
		Example: `  tasklane cancel 0190f3c2-7d1e-7c3a-9a55-0c1f6f1c2b11
  tasklane cancel --user alice --reason mistake 0190f3c2-7d1e-7c3a-9a55-0c1f6f1c2b11`,
		Args: oneTaskID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTaskID(args[0]); err != nil {
				return err
			}
			return r.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				status, err := c.Cancel(ctx, r.user, args[0], reason)
				if err != nil {
					return err
				}
				return con.Printer(r.form).One(cancelling{args[0], r.user, status})
			})
		},
	}
	r.addServer(cmd.Flags())
	cmd.Flags().StringVar(&r.user, "user", "",
		"the user the task belongs to; needed if several have one with this id, or nobody has yet")
	cmd.Flags().StringVar(&reason, "reason", "", "why, shown to the user")
	return cmd
}

// cancelling is a cancel as it is printed.
type cancelling struct {
	TaskID string         `json:"task_id"`
	UserID string         `json:"user_id,omitzero"`
	Status schemas.Status `json:"status,omitzero"`
}

func (c cancelling) Columns() []string { return []string{"TASK_ID", "WAS"} }

func (c cancelling) Cells() []string {
	if c.Status == "" {
		return []string{c.TaskID, "not seen yet"}
	}
	return []string{c.TaskID, string(c.Status)}
}
