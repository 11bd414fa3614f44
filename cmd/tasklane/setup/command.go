package setup

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/internal/cli"
)

// command is `tasklane config`.
type command struct {
	*cli.Console
	lookup Lookup
}

// Command is `tasklane config`, which writes to a console and reads the environment by
// lookup.
func Command(console *cli.Console, lookup Lookup) *cobra.Command {
	c := command{console, lookup}
	cmd := &cobra.Command{
		Use:        "config",
		SuggestFor: []string{"configuration", "settings", "conf"},
		Short:      "Checks and prints tasklane.yaml",
		Long: `Checks and prints the settings of services, providers, models, limits, budgets and
prices: those of the file that --config names, with what the environment and flags
say over them.`,
		Example: "  tasklane config check --config tasklane.yaml",
		Args:    cli.NoArguments,
		RunE:    cli.ShowHelp,
	}
	cmd.AddCommand(c.check(), c.print())
	return cmd
}

func (c command) check() *cobra.Command {
	flags := new(Flags)
	withoutSecrets := false
	cmd := &cobra.Command{
		Use:        "check",
		SuggestFor: []string{"validate", "lint", "test"},
		Short:      "Says what is wrong with the settings",
		Long: `Says what is wrong with the settings, each with its file, line and column, and of
every secret whether it is to be had. Ends with 2 if anything is wrong.`,
		Example: `  tasklane config check --config tasklane.yaml
  tasklane config check --config tasklane.yaml --without-secrets`,
		Args: cli.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			settings, err := flags.Load(c.lookup, c.Log)
			if err != nil {
				return err
			}
			if !withoutSecrets {
				if err := settings.CheckSecrets(c.lookup); err != nil {
					return cli.AsUsage(err)
				}
				if _, err := ProviderServices(settings, c.lookup, c.Log); err != nil {
					return err
				}
			}
			if err := CheckServices(settings, BuiltIn(true, "")); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(c.Stdout, "ok"); err != nil {
				return fmt.Errorf("print: %w", err)
			}
			return nil
		},
	}
	flags.AddTo(cmd.Flags())
	cmd.Flags().BoolVar(&withoutSecrets, "without-secrets", false,
		"do not look whether the secrets are to be had, as where the file is checked before it is installed")
	return cmd
}

func (c command) print() *cobra.Command {
	flags := new(Flags)
	cmd := &cobra.Command{
		Use:        "print",
		SuggestFor: []string{"show", "dump", "get", "view"},
		Short:      "Prints the settings that are in force, without secrets",
		Long: `Prints the settings that are in force as YAML that can be read again: those of the
file, with what the environment and flags say over them. A secret that stands in the
file is printed as <hidden>, one in the environment or a file as where it comes from.`,
		Example: `  tasklane config print
  tasklane config print --config tasklane.yaml --provider-limit 'openai/*=rpm:60'`,
		Args: cli.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			settings, err := flags.Load(c.lookup, c.Log)
			if err != nil {
				return err
			}
			if _, err := c.Stdout.Write(settings.Print()); err != nil {
				return fmt.Errorf("print: %w", err)
			}
			return nil
		},
	}
	flags.AddTo(cmd.Flags())
	return cmd
}
