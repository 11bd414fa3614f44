package main

import (
	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/schemas"
)

func (a *app) killCommand() *cobra.Command {
	o := new(order)
	var off bool
	cmd := &cobra.Command{
		Use:   "kill TYPE NAME",
		Short: "Refuses tasks with a kill switch",
		Long: `Refuses tasks: those that wait, run or come later end, until the kill switch is
lifted with --off, or the time given with --for is over. What it has ended does
not come back.

` + targetHelp,
		Example: `  tasklane kill task_name summarize --reason wrong-prompt --by ops
  tasklane kill task_name summarize --off
  tasklane kill user mallory --for 24h`,
		Args: oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			control, err := o.control(schemas.ControlKillSwitch, args)
			switch {
			case err != nil:
				return err
			case off && o.lasts > 0:
				return usagef("--off lifts at once: give one of --off and --for")
			case off:
				return o.lift(cmd, a, control)
			}
			return o.set(cmd, a, control)
		},
	}
	o.addTo(cmd.Flags())
	o.addLasts(cmd.Flags())
	cmd.Flags().BoolVar(&off, "off", false, "lift the kill switch")
	return cmd
}
