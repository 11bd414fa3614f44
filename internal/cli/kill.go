package cli

import (
	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/schemas"
)

func (con *Console) killCommand() *cobra.Command {
	f := new(controlFlags)
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
			control, err := f.control(schemas.ControlKillSwitch, args)
			switch {
			case err != nil:
				return err
			case off && f.lasts > 0:
				return Usagef("--off lifts at once: give one of --off and --for")
			case off:
				return f.lift(cmd, con, control)
			}
			return f.set(cmd, con, control)
		},
	}
	f.addTo(cmd.Flags())
	f.addLasts(cmd.Flags())
	cmd.Flags().BoolVar(&off, "off", false, "lift the kill switch")
	return cmd
}
