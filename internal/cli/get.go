package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
)

func (con *Console) getCommand() *cobra.Command {
	r := new(connection)
	cmd := &cobra.Command{
		Use:        "get TASK_ID",
		SuggestFor: []string{"status", "show", "describe", "info", "state"},
		Short:      "Prints where a task stands",
		Long: `Prints where a task stands. One that is lost was accepted, and its record is gone
from its lane, or was passed over there, before it had ended: the message says why,
and its id can be submitted again.`,
		Example: "  tasklane get --user alice 0190f3c2-7d1e-7c3a-9a55-0c1f6f1c2b11 -o json",
		Args:    oneTaskID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTaskID(args[0]); err != nil {
				return err
			}
			return r.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				state, err := c.Get(ctx, r.user, args[0])
				if err != nil {
					return err
				}
				return con.Printer(r.form).One(stateRow{state})
			})
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// stateRow is a task's state as it is printed.
type stateRow struct{ *client.TaskState }

func (s stateRow) Columns() []string {
	return []string{"TASK_ID", "USER_ID", "LANE", "STATUS", "TASK_NAME", "SERVICE", "ATTEMPT", "MESSAGE"}
}

func (s stateRow) Cells() []string {
	message := s.Message
	if s.Error != "" {
		message = s.Error
	}
	message += waitsFor(s.Waiting)
	if s.Webhook != nil {
		message = strings.TrimSpace(message + " (its webhook was given up: " + s.Webhook.Error + ")")
	}
	if s.Warning != "" {
		message += " (" + s.Warning + ")"
	}
	return []string{
		s.TaskID, s.UserID, s.Lane, string(s.Status), s.TaskName, s.Mode + "/" + s.Service, fmt.Sprint(s.Attempt), message,
	}
}
