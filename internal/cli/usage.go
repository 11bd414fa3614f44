package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/schemas"
)

// UsageError is a mistake on the command line or in the environment.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

// Usagef is a [UsageError] of a text.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// AsUsage marks what a New refused: it looks at its configuration only, and
// that came from the command line. Nil stays nil.
func AsUsage(err error) error {
	if err == nil {
		return nil
	}
	return UsageError{err}
}

// NoArguments refuses what stands after a command that takes nothing.
func NoArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		cmd.SuggestionsMinimumDistance = 2
		message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if instead := ofCelery(cmd, args[0]); instead != "" {
			return errors.New(message + "; " + instead)
		}
		similar := cmd.SuggestionsFor(args[0])
		for _, sub := range cmd.Commands() { // what other programs call it comes before what is only near
			if slices.Contains(sub.SuggestFor, args[0]) {
				similar = []string{sub.Name()}
			}
		}
		if len(similar) > 0 {
			message += fmt.Sprintf("; did you mean %q?", similar[0])
		}
		return errors.New(message)
	}
	advice := ""
	switch user := cmd.Flags().Lookup("user"); {
	case cmd.Flags().Changed("input") || cmd.Flags().Changed("context"):
		advice = "; a value with spaces is one only in quotes: --input '{\"text\": \"hello\"}'"
	case user != nil && !user.Changed:
		advice = fmt.Sprintf("; a user is named with --user %s", args[0])
	}
	return fmt.Errorf("%s takes no argument, but %q was given%s", cmd.CommandPath(), args[0], advice)
}

// ShowHelp is what a command does that only has others below it.
func ShowHelp(cmd *cobra.Command, _ []string) error {
	if err := cmd.Help(); err != nil {
		return fmt.Errorf("print help: %w", err)
	}
	return nil
}

// oneTaskID wants exactly one argument, a task's id.
func oneTaskID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one argument, the task's id; %d were given", cmd.CommandPath(), len(args))
	}
	return nil
}

// oneTarget wants exactly a type and a name.
func oneTarget(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%s takes two arguments, TYPE and NAME, for example lane heavy; %d were given",
			cmd.CommandPath(), len(args))
	}
	return nil
}

// noEmptyFlags refuses flags that were given and are empty, most often by a variable that is not set: as left out, the
// command would be about every task, or make a new one. A token is left out where there is none.
func noEmptyFlags(cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains([]string{"user", "task-id", "since", "lane", "not-before", "expires", "callback",
			"unique-key"}, f.Name) && f.Value.String() == "" && err == nil {
			err = Usagef("--%s is empty; give it a value, or leave it out", f.Name)
		}
	})
	return err
}

func checkTaskID(id string) error {
	if p := schemas.CheckTaskID(id); p != "" {
		return Usagef("task id %q %s", id, p)
	}
	return nil
}
