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

	"github.com/aiecs/tasklane/internal/memory"
)

// app is the process as its commands see it. Tests make their own.
type app struct {
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
	terminal bool // stdout is one
	colour   bool // stderr is a terminal
	environ  []string

	logLevel  string
	logFormat string
	log       *slog.Logger // set before a command runs
	started   bool         // a command runs: errors before that are of usage
}

// run executes one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	a.log = slog.New(slog.DiscardHandler)
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitFine
	}
	if !a.started {
		err = usageError{err}
	}
	_, _ = fmt.Fprintf(a.stderr, "tasklane: %v\n", err)
	code := exitCode(err)
	if code == exitUsage {
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
Exit codes: 0 fine, 1 the task or request failed, 2 wrong usage, 3 the server or
the broker cannot be reached.`,
		Example: `  tasklane up
  tasklane submit --user alice --mode chat --service text_analyzer --name detect_language \
      --input '{"text": "Guten Morgen"}' --wait`,
		Args:              noArguments,
		RunE:              chooseCommand,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: a.prepare,
	}
	root.SetFlagErrorFunc(explainFlag)
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&a.logLevel, "log-level", "info", "least level of log lines: debug, info, warn or error")
	flags.StringVar(&a.logFormat, "log-format", "text", "form of log lines on standard error: text or json")
	root.AddCommand(
		a.upCommand(), a.producerCommand(), a.processorCommand(), a.notifierCommand(), a.brokerCommand(), a.topicsCommand(),
		a.submitCommand(), a.getCommand(), a.resultCommand(), a.watchCommand(), a.cancelCommand(),
		a.pauseCommand(), a.resumeCommand(), a.killCommand(), a.limitsCommand(), a.inspectCommand(), a.tokenCommand(), a.demoCommand(), a.versionCommand(),
	)
	describeEnvironment(root)
	return root
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
	a.log = log
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
		a.log.Info("garbage collector set; GOGC or GOMEMLIMIT in the environment leave it alone",
			"GOGC", set.GCPercent, "GOMEMLIMIT", set.LimitBytes)
	}
}

func (a *app) newLogger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %q: use debug, info, warn or error", a.logLevel)
	}
	switch strings.ToLower(a.logFormat) {
	case "json":
		return slog.New(slog.NewJSONHandler(a.stderr, &slog.HandlerOptions{Level: level})), nil
	case "text":
		options := &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !a.colour}
		return slog.New(tint.NewTextHandler(a.stderr, options)), nil
	}
	return nil, fmt.Errorf("--log-format %q: use text or json", a.logFormat)
}

// isTerminal reports whether a person is at the other end of a file.
func isTerminal(f interface{ Fd() uintptr }) bool { return isatty.IsTerminal(f.Fd()) }
