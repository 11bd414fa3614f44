package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

func TestUsageErrorsAreTold(t *testing.T) {
	cause := errors.New("cause")
	for _, err := range []error{AsUsage(cause), Usagef("wrong: %w", cause), fmt.Errorf("start: %w", Usagef("%w", cause))} {
		if !isUsage(err) || !errors.Is(err, cause) {
			t.Errorf("%v", err)
		}
	}
	if AsUsage(nil) != nil || isUsage(cause) {
		t.Error("usage where there is none")
	}
}

// Every command says what it is for and gives an example that it understands.
func TestCommandsHaveExamplesThatAreRight(t *testing.T) {
	con := new(Console)
	names := make(map[string]bool)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			visit(below)
		}
		if cmd.Short == "" || cmd.Example == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: %q, example %q", cmd.Name(), cmd.Short, cmd.Example)
		}
		for _, word := range append(cmd.SuggestFor, cmd.Name()) {
			if !cmd.HasParent() && names[word] {
				t.Errorf("%s: two commands are meant by %q", cmd.Name(), word)
			}
			names[word] = names[word] || !cmd.HasParent()
		}
		for line := range strings.Lines(strings.ReplaceAll(cmd.Example, "\\\n", " ")) {
			_, own, found := strings.Cut(line, "tasklane ")
			if !found {
				continue
			}
			for _, word := range strings.Fields(own) {
				if flag, ok := strings.CutPrefix(word, "--"); ok && cmd.Flags().Lookup(flag) == nil {
					t.Errorf("%s: the example has --%s, which there is not", cmd.Name(), flag)
				}
			}
		}
	}
	for _, cmd := range con.Commands() {
		visit(cmd)
	}
	if len(names) < 11 {
		t.Errorf("only %d names", len(names))
	}
}

func TestArguments(t *testing.T) {
	root := &cobra.Command{Use: "tasklane"}
	plain := &cobra.Command{Use: "submit", Run: func(*cobra.Command, []string) {}}
	plain.Flags().String("input", "", "")
	plain.Flags().String("user", "", "")
	inspect := &cobra.Command{Use: "inspect", Run: func(*cobra.Command, []string) {}}
	inspect.AddCommand(&cobra.Command{Use: "controls", Run: func(*cobra.Command, []string) {}})
	root.AddCommand(plain, inspect, &cobra.Command{Use: "cancel", SuggestFor: []string{"revoke"},
		Run: func(*cobra.Command, []string) {}})
	for _, c := range []struct {
		cmd  *cobra.Command
		args []string
		says string
	}{
		{root, nil, ""}, {plain, nil, ""},
		{root, []string{"submitt"}, `unknown command "submitt" for "tasklane"; did you mean "submit"?`},
		{root, []string{"revoke"}, `did you mean "cancel"?`},
		{root, []string{"frobnicate"}, `unknown command "frobnicate"`},
		{root, []string{"beat"}, `unknown command "beat" for "tasklane"; nothing starts tasks by a schedule yet`},
		{root, []string{"purge"}, "tasklane kill lane fast"}, {root, []string{"flower"}, "tasklane watch"},
		{root, []string{"active"}, `unknown command "active" for "tasklane"`},
		{inspect, []string{"active"}, "GET /v1/tasks?status=running"}, {inspect, []string{"scheduled"}, "status=pending"},
		{inspect, []string{"revoked"}, "inspect controls --kind cancel"}, {inspect, []string{"stats"}, "/readyz"},
		{inspect, []string{"control"}, `did you mean "controls"?`},
		{plain, []string{"alice"}, "a user is named with --user alice"},
	} {
		err := NoArguments(c.cmd, c.args)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c.args, err, c.says)
		}
	}
	if err := plain.Flags().Set("input", "{text:"); err != nil {
		t.Fatal(err)
	}
	if err := NoArguments(plain, []string{"hello"}); err == nil || !strings.Contains(err.Error(), "only in quotes") {
		t.Errorf("%v", err)
	}
}

func TestDurationsOfControls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		var f durationFlag
		err := f.Set(d.String())
		if (err == nil) != (d > 0) || err == nil && time.Duration(f) != d || err != nil && f != 0 {
			t.Fatalf("%v: %v, %v", d, f, err)
		}
		if again := new(durationFlag); err == nil && (again.Set(f.String()) != nil || *again != f) {
			t.Fatalf("%v is read back as %v", f.String(), again)
		}
	})
	for _, text := range []string{"", "0", "0s", "-1h", "2", "2 hours", "forever", "1e3s"} {
		if f := new(durationFlag); f.Set(text) == nil || f.String() != "" || !strings.Contains(f.Wants(), "2h") {
			t.Errorf("%q is taken as %v", text, f)
		}
	}
}

// Every flag that is named for a member of a task is a flag of submit, and sets it.
func TestMembersAreNamedByTheirFlags(t *testing.T) {
	f := new(submitFlags)
	flags := pflag.NewFlagSet("submit", pflag.ContinueOnError)
	f.addTo(flags)
	named := 0
	for _, member := range schemas.TaskFields() {
		name := flagOf(member)
		if name == "" {
			continue
		}
		named++
		if flags.Lookup(name) == nil {
			t.Errorf("%s is set by --%s, which there is not", member, name)
		}
	}
	if named < 16 {
		t.Errorf("only %d members have a flag", named)
	}
}

func TestNotBefore(t *testing.T) {
	now := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		wait := time.Duration(rapid.Int64Range(1, int64(10*365*24*time.Hour)).Draw(t, "wait"))
		at, err := readMoment("not-before", wait.String(), now)
		if off := at.Sub(now.Add(wait)); err != nil || off < -time.Millisecond || off > time.Millisecond {
			t.Fatalf("%v from %v is %v, %v", wait, now, at, err)
		}
		text, err := at.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := readMoment("not-before", string(text), now); err != nil || !again.Equal(at.Time) {
			t.Fatalf("%s is read as %v, %v", text, again, err)
		}
	})
	for _, text := range []string{"tomorrow", "-5m", "0s", "2026-01-31", "09:30", "1769851800"} {
		if at, err := readMoment("not-before", text, now); err == nil || !strings.Contains(err.Error(), "such as 8h") {
			t.Errorf("%q is %v, %v", text, at, err)
		}
	}
}

// A command that only has others below it shows which, and that is no mistake.
func TestCommandsAboveOthersShowThem(t *testing.T) {
	cmd := new(Console).inspectCommand()
	var out strings.Builder
	cmd.SetOut(&out)
	cmd.SetArgs(nil)
	if err := cmd.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), "controls") {
		t.Errorf("%v: %s", err, out.String())
	}
	if got := new(terminal).do(t, "inspect everything"); got.err == nil ||
		!strings.Contains(got.err.Error(), "unknown command") {
		t.Errorf("%+v", got)
	}
	// The flags of times say in the help what they take.
	if usage := new(Console).pauseCommand().Flags().FlagUsages(); !strings.Contains(usage, "--for duration") ||
		strings.Contains(usage, `default "0s"`) {
		t.Errorf("help of pause:\n%s", usage)
	}
}
