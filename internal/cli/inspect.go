package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func (con *Console) inspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "inspect",
		SuggestFor: []string{"list", "ls", "ps", "controls"},
		Short:      "Shows what goes on in the installation",
		Example:    "  tasklane inspect controls",
		Args:       NoArguments,
		RunE:       ShowHelp,
	}
	cmd.AddCommand(con.inspectControlsCommand())
	return cmd
}

func (con *Console) inspectControlsCommand() *cobra.Command {
	r := &connection{anyUser: true}
	var kind string
	cmd := &cobra.Command{
		Use:   "controls",
		Short: "Lists the cancels, pauses, limits and kill switches in force",
		Example: `  tasklane inspect controls
  tasklane inspect controls --kind pause -o jsonl`,
		Args: NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch schemas.ControlKind(kind) {
			case "", schemas.ControlCancel, schemas.ControlPause, schemas.ControlLimits, schemas.ControlKillSwitch:
			default:
				return Usagef("--kind %q: use cancel, pause, limits or kill_switch", kind)
			}
			return r.with(cmd, con, func(ctx context.Context, c *client.Client) error {
				var rows []Row
				for control, err := range c.Controls(ctx, schemas.ControlKind(kind)) {
					if err != nil {
						return err
					}
					rows = append(rows, newControlRow(control))
				}
				return con.Printer(r.form).All(rows)
			})
		},
	}
	r.addServer(cmd.Flags())
	cmd.Flags().StringVar(&kind, "kind", "", "only this kind: cancel, pause, limits or kill_switch")
	return cmd
}
