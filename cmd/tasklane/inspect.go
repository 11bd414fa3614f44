package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

func (a *app) inspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "inspect",
		Short:   "Shows what goes on in the installation",
		Example: "  tasklane inspect controls",
		Args:    noArguments,
		RunE:    chooseCommand,
	}
	cmd.AddCommand(a.inspectControlsCommand())
	return cmd
}

func (a *app) inspectControlsCommand() *cobra.Command {
	r := &remote{anyUser: true}
	var kind string
	cmd := &cobra.Command{
		Use:   "controls",
		Short: "Lists the cancels, pauses, limits and kill switches in force",
		Example: `  tasklane inspect controls
  tasklane inspect controls --kind pause -o jsonl`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch schemas.ControlKind(kind) {
			case "", schemas.ControlCancel, schemas.ControlPause, schemas.ControlLimits, schemas.ControlKillSwitch:
			default:
				return usagef("--kind %q: use cancel, pause, limits or kill_switch", kind)
			}
			return r.with(cmd, a, func(ctx context.Context, c *client.Client) error {
				var rows []row
				for control, err := range c.Controls(ctx, schemas.ControlKind(kind)) {
					if err != nil {
						return err
					}
					rows = append(rows, newControlRow(control))
				}
				return a.printer(r.form).all(rows)
			})
		},
	}
	r.addServer(cmd.Flags())
	cmd.Flags().StringVar(&kind, "kind", "", "only this kind: cancel, pause, limits or kill_switch")
	return cmd
}
