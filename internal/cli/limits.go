package cli

import (
	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/schemas"
)

func (con *Console) limitsCommand() *cobra.Command {
	f := new(controlFlags)
	var running int64
	var starts float64
	var off bool
	cmd := &cobra.Command{
		Use:   "limits TYPE NAME",
		Short: "Limits how many tasks run, or start in a second",
		Long: `Limits how many tasks of a target run at once, or start in a second, in each
processor of the lane: three processors may run three times as many. It replaces
the limits before, until they are lifted with --off.

TYPE is task_name, service, user or lane. NAME is the service's MODE/SERVICE, or
the name itself.`,
		Example: `  tasklane limits service chat/openai --max-running 20 --max-starts-per-s 5
  tasklane limits user alice --max-running 2 --for 1h
  tasklane limits service chat/openai --off`,
		Args: oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			control, err := f.control(schemas.ControlLimits, args)
			if err != nil {
				return err
			}
			control.Limits = new(schemas.Limits)
			if cmd.Flags().Changed("max-running") {
				control.Limits.MaxRunning = &running
			}
			if cmd.Flags().Changed("max-starts-per-s") {
				control.Limits.MaxStartsPerS = &starts
			}
			switch given := *control.Limits != (schemas.Limits{}); {
			case given == off:
				return Usagef("give --max-running, --max-starts-per-s or both, or --off alone")
			case off:
				return f.lift(cmd, con, control)
			}
			return f.set(cmd, con, control)
		},
	}
	f.addTo(cmd.Flags())
	f.addLasts(cmd.Flags())
	cmd.Flags().Int64Var(&running, "max-running", 0, "tasks at once in each processor; 0 starts none")
	cmd.Flags().Float64Var(&starts, "max-starts-per-s", 0, "starts in a second in each processor")
	cmd.Flags().BoolVar(&off, "off", false, "lift the limits")
	return cmd
}
