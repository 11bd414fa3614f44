package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/internal/logtest"
)

// said is what a command line came to.
type said struct {
	stdout, log string
	err         error
}

// lines are the documents that -o jsonl has printed.
func (s said) lines(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(s.stdout) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

// fails wants an error that says something.
func (s said) fails(t *testing.T, want string) {
	t.Helper()
	if s.err == nil || !strings.Contains(s.err.Error(), want) {
		t.Errorf("error %v, want %q", s.err, want)
	}
}

// prints wants output without an error.
func (s said) prints(t *testing.T, want string) {
	t.Helper()
	if s.err != nil || !strings.Contains(s.stdout, want) {
		t.Errorf("printed %q and error %v, want %q", s.stdout, s.err, want)
	}
}

// terminal is somebody at a command line, and the installation they speak to.
type terminal struct {
	server, notifier string
	stdin            string
	user             string
	stdout           io.Writer // nil collects
	log              io.Writer // hears the log too, nil for nobody
}

// at is a terminal of alice at an installation in memory.
func at(s *clienttest.Server) *terminal {
	config := s.Config()
	return &terminal{server: config.Server, notifier: config.Notifier, user: "alice"}
}

// run runs a command line. Flags that name the installation and the user are set as the
// environment would set them: where they were not given.
func (o *terminal) run(ctx context.Context, t *testing.T, args ...string) said {
	t.Helper()
	var out, log logtest.Buffer
	var logs io.Writer = &log
	if o.log != nil {
		logs = io.MultiWriter(&log, o.log)
	}
	con := &Console{Stdin: strings.NewReader(o.stdin), Stdout: &out, Log: slog.New(slog.NewTextHandler(logs, nil))}
	if o.stdout != nil {
		con.Stdout = o.stdout
	}
	root := &cobra.Command{
		Use: "tasklane", SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			for name, value := range map[string]string{
				"server": o.server, "notifier": o.notifier, "user": o.user, "give-up-after": "2s",
			} {
				if f := cmd.Flags().Lookup(name); f != nil && !f.Changed && value != "" {
					if err := cmd.Flags().Set(name, value); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	root.AddCommand(con.Commands()...)
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	err := root.ExecuteContext(ctx)
	return said{out.String(), log.String(), err}
}

// do runs a command line given as one text, its words parted by spaces.
func (o *terminal) do(t *testing.T, line string) said {
	t.Helper()
	return o.run(t.Context(), t, strings.Fields(line)...)
}

// submitLine is a command line that submits a task of a name.
func submitLine(name string, more ...string) []string {
	return append([]string{"submit", "--mode", "chat", "--service", "any", "--name", name}, more...)
}

// echo answers with its input.
func echo(_ context.Context, task *clienttest.Task) (any, error) { return task.InputData, nil }

// isUsage reports whether an error is a mistake on the command line.
func isUsage(err error) bool {
	var usage UsageError
	return errors.As(err, &usage)
}
