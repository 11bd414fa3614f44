// Package cli is the commands that speak to a running Tasklane from outside: they
// submit, look up, watch and cancel tasks and control many of them, over the HTTP
// API and the notifier, through the SDK that users have. One of them, token, asks
// no server.
//
// The program that has these commands fills their flags from the environment and
// turns their errors into exit codes: [UsageError] is a mistake on the command line,
// the rest are the SDK's errors, and tasks that did not complete.
package cli

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"
)

// Console is where commands read and write.
type Console struct {
	Stdin  io.Reader
	Stdout io.Writer
	// Log is set before a command runs.
	Log *slog.Logger
}

// Commands are the commands, as they stand beside those that run roles.
func (con *Console) Commands() []*cobra.Command {
	return []*cobra.Command{
		con.submitCommand(), con.getCommand(), con.resultCommand(), con.watchCommand(), con.cancelCommand(),
		con.pauseCommand(), con.resumeCommand(), con.killCommand(), con.limitsCommand(), con.inspectCommand(),
		con.servicesCommand(), con.artifactCommand(),
		con.tokenCommand(),
	}
}
