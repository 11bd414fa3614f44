package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/internal/kafka"
)

// The exit codes.
const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

// usageError is a mistake on the command line or in the environment.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// asUsage marks what a New refused: it looks at its configuration only, and
// that came from the command line.
func asUsage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func exitCode(err error) int {
	var usage usageError
	var refused *client.APIError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, kafka.ErrUnreachable):
		return exitUnreachable
	case errors.As(err, &refused) && refused.Status >= http.StatusBadGateway && refused.Status <= http.StatusGatewayTimeout:
		return exitUnreachable // the server is there, its broker is not
	}
	return exitFailed
}

// noArguments refuses what stands after a command that takes nothing.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		cmd.SuggestionsMinimumDistance = 2
		message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
			message += fmt.Sprintf("; did you mean %q?", similar[0])
		}
		return errors.New(message)
	}
	return fmt.Errorf("%s takes no argument, but %q was given", cmd.CommandPath(), args[0])
}

// oneTaskID wants exactly one argument, a task's id.
func oneTaskID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one argument, the task's id; %d were given", cmd.CommandPath(), len(args))
	}
	return nil
}

// chooseCommand is what a command does that only has others below it.
func chooseCommand(cmd *cobra.Command, _ []string) error {
	if err := cmd.Help(); err != nil {
		return fmt.Errorf("print help: %w", err)
	}
	return nil
}
