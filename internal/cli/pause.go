package cli

import (
	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/schemas"
)

func (con *Console) pauseCommand() *cobra.Command {
	f := new(controlFlags)
	cmd := &cobra.Command{
		Use:   "pause TYPE NAME",
		Short: "Holds tasks back until they are resumed",
		Long: `Holds tasks back: none of them starts until they are resumed, or the time given
with --for is over. Those that run go on.

` + targetHelp,
		Example: `  tasklane pause lane heavy --reason upgrade --for 30m
  tasklane pause service chat/openai --by ops
  tasklane pause user alice`,
		Args: oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			control, err := f.control(schemas.ControlPause, args)
			if err != nil {
				return err
			}
			return f.set(cmd, con, control)
		},
	}
	f.addTo(cmd.Flags())
	f.addLasts(cmd.Flags())
	return cmd
}

func (con *Console) resumeCommand() *cobra.Command {
	f := new(controlFlags)
	cmd := &cobra.Command{
		Use:   "resume TYPE NAME",
		Short: "Ends a pause",
		Long: `Ends a pause and prints whether there was one. Other pauses that hold the same
tasks stay.

` + targetHelp,
		Example: `  tasklane resume lane heavy
  tasklane resume service chat/openai --by ops --reason more-quota`,
		Args: oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			control, err := f.control(schemas.ControlPause, args)
			if err != nil {
				return err
			}
			return f.lift(cmd, con, control)
		},
	}
	f.addTo(cmd.Flags())
	return cmd
}
