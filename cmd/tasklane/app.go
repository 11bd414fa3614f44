package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/cmd/tasklane/setup"
	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/logrepeat"
	"github.com/aiecs/tasklane/internal/memory"
)

// app is the process as its commands see it. Tests make their own.
type app struct {
	cli.Console
	stderr   io.Writer
	terminal bool // stdout is one
	colour   bool // stderr is a terminal
	environ  []string

	logLevel  string
	logFormat string
	started   bool  // a command runs: errors before that are of usage
	unhelped  error // what help was asked for and is none
}

// run executes one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	a.Log = slog.New(slog.DiscardHandler)
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = a.unhelped
	}
	if err == nil {
		return exitFine
	}
	if !a.started {
		err = cli.AsUsage(err)
	}
	_, _ = fmt.Fprintf(a.stderr, "tasklane: %v\n", err)
	code := exitCode(err)
	if code == exitUsage {
		if command.Name() == "help" {
			command = command.Root()
		}
		_, _ = fmt.Fprintf(a.stderr, "Run '%s --help' for usage and an example.\n", command.CommandPath())
	}
	return code
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tasklane",
		Short: "Runs AI tasks from Kafka and tells their users how they go",
		Long: `Tasklane takes tasks from Kafka topics, runs them, and streams what happens to
the tasks' users.

Every flag has an environment variable, named in its help; the flag wins.
Exit codes: 0 fine, 1 the task or request failed, or was interrupted before it was
known, 2 wrong usage, 3 the server or the broker cannot be reached.`,
		Example: `  tasklane up
  tasklane submit --user alice --mode chat --service text_analyzer --name detect_language \
      --input '{"text": "Guten Morgen, wie geht es Ihnen heute?"}' --wait`,
		Args:              cli.NoArguments,
		RunE:              cli.ShowHelp,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: a.prepare,
	}
	root.SetFlagErrorFunc(explainFlag)
	a.setHelp(root)
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&a.logLevel, "log-level", "info", "least level of log lines: debug, info, warn or error")
	flags.StringVar(&a.logFormat, "log-format", "text", "form of log lines on standard error: text or json")
	root.AddCommand(
		a.upCommand(), a.producerCommand(), a.processorCommand(), a.notifierCommand(), a.brokerCommand(), a.topicsCommand(),
		a.demoCommand(), setup.Command(&a.Console, newEnvironment(a.environ).lookup), a.versionCommand(),
	)
	root.AddCommand(a.Commands()...)
	describeEnvironment(root)
	return root
}

// setHelp makes help of a command that does not exist an error, however it is asked for: with "help" before its name
// or --help behind it.
func (a *app) setHelp(root *cobra.Command) {
	show := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd.HasSubCommands() {
			if a.unhelped = cli.NoArguments(cmd, cmd.Flags().Args()); a.unhelped != nil {
				return
			}
		}
		show(cmd, args)
	})
	root.SetHelpCommand(&cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "Prints the help of a command",
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // also where a setting is wrong
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil {
				err = cli.NoArguments(cmd, rest)
			}
			if err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag() // so that it is listed
			return cli.ShowHelp(cmd, nil)
		},
	})
}

// prepare runs before every command: the environment fills in flags, then the
// logger is made.
func (a *app) prepare(cmd *cobra.Command, _ []string) error {
	env := newEnvironment(a.environ)
	if err := env.fill(cmd.Flags()); err != nil {
		return err
	}
	log, err := a.newLogger()
	if err != nil {
		return err
	}
	a.Log = log
	env.misspelt(cmd.Root(), log)
	if role := cmd.Annotations[annotationRole]; role != "" {
		env.warn(log)
		if role == "processor" || role == "up" {
			a.setCollector(cmd.Context())
		}
	}
	a.started = true
	return nil
}

// setCollector lets the collector take more memory where tasks are run. A
// notifier's memory is its connections, where that would only cost.
func (a *app) setCollector(ctx context.Context) {
	set := memory.Choose(a.environ, memory.Available())
	set.Apply(ctx)
	if set != (memory.Settings{}) {
		a.Log.Info("garbage collector set; GOGC or GOMEMLIMIT in the environment leave it alone",
			"GOGC", set.GCPercent, "GOMEMLIMIT", set.LimitBytes)
	}
}

// newLogger makes the process's logger, in which lines that repeat are summed up.
func (a *app) newLogger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %q: use debug, info, warn or error", a.logLevel)
	}
	switch strings.ToLower(a.logFormat) {
	case "json":
		return slog.New(logrepeat.New(slog.NewJSONHandler(a.stderr, &slog.HandlerOptions{Level: level}))), nil
	case "text":
		options := &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !a.colour}
		return slog.New(logrepeat.New(tint.NewTextHandler(a.stderr, options))), nil
	}
	return nil, fmt.Errorf("--log-format %q: use text or json", a.logFormat)
}

// isTerminal reports whether a person is at the other end of a file.
func isTerminal(f interface{ Fd() uintptr }) bool { return isatty.IsTerminal(f.Fd()) }
