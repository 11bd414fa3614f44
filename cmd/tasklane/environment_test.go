package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestVariablesAreNamedAfterFlags(t *testing.T) {
	for flag, want := range map[string]string{
		"data-dir": "TASKLANE_DATA_DIR", "brokers": "TASKLANE_BROKERS", "api-addr": "TASKLANE_API_ADDR",
	} {
		if got := variableOf(flag); got != want {
			t.Errorf("flag %s has %s, want %s", flag, got, want)
		}
	}
}

// workerFlags parses a processor's flags in the given environment.
func workerFlags(t *testing.T, variables []string, args ...string) (*settings, error) {
	t.Helper()
	s := new(settings)
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	s.addDataDir(flags)
	s.addKafka(flags, "")
	s.addEdge(flags)
	s.addWorker(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s, newEnvironment(variables).fill(flags)
}

func TestAFlagBeatsItsVariableAndThatTheOldName(t *testing.T) {
	all := []string{
		"TASKLANE_DATA_DIR=/env", "TASKLANE_SLOTS_FAST=7", "CELERY_WORKER_CONCURRENCY=9", "CELERY_TASK_TIME_LIMIT=1800",
		"CELERY_TASK_SOFT_TIME_LIMIT=0.5", "CORS_ALLOWED_ORIGINS=https://a.example", "TASKLANE_BROKERS=k1:9092,k2:9092",
	}
	s, err := workerFlags(t, all, "--data-dir", "/flag")
	if err != nil {
		t.Fatal(err)
	}
	if s.dataDir != "/flag" {
		t.Errorf("data directory %s", s.dataDir)
	}
	if s.slotsFast != 7 || s.slotsHeavy != 9 {
		t.Errorf("slots %d and %d, want the own variable's 7 and the old one's 9", s.slotsFast, s.slotsHeavy)
	}
	if s.timeLimit != 30*time.Minute || s.softTimeLimit != 500*time.Millisecond {
		t.Errorf("limits %v and %v", s.softTimeLimit, s.timeLimit)
	}
	if s.allowedOrigins != "https://a.example" {
		t.Errorf("origins %q", s.allowedOrigins)
	}
	if len(s.brokers) != 2 || s.brokers[1] != "k2:9092" {
		t.Errorf("brokers %q", s.brokers)
	}
}

func TestAnEmptyVariableIsNone(t *testing.T) {
	s, err := workerFlags(t, []string{"TASKLANE_DATA_DIR=", "CELERY_WORKER_CONCURRENCY=", "broken"})
	if err != nil || s.dataDir != "data" || s.slotsFast != 4 {
		t.Errorf("settings %+v, error %v", s, err)
	}
}

func TestAWrongVariableIsNamed(t *testing.T) {
	for _, variable := range []string{
		"TASKLANE_SLOTS_FAST=many", "TASKLANE_SESSION_TIMEOUT=10", "CELERY_TASK_TIME_LIMIT=10m",
		"CELERY_TASK_TIME_LIMIT=-1", "CELERY_TASK_TIME_LIMIT=NaN", "CELERY_WORKER_CONCURRENCY=auto",
		"CELERY_WORKER_CONCURRENCY=0", "TASKLANE_SLOTS_HEAVY=0", "TASKLANE_INSECURE=perhaps",
	} {
		_, err := workerFlags(t, []string{variable})
		name, _, _ := strings.Cut(variable, "=")
		if exitCode(err) != exitUsage || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "want ") ||
			strings.Contains(err.Error(), "strconv") {
			t.Errorf("%s: error %v", variable, err)
		}
	}
}

func TestOldNamesThatDoNothingAreWarnedOfOnce(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	newEnvironment([]string{
		"CELERY_BROKER_URL=redis://", "REDIS_URL=redis://", "CELERY_TASK_SERIALIZER=json", "CELERY_RESULT_BACKEND=x",
		"CELERY_WORKER_PREFETCH_MULTIPLIER=1", "CELERY_MADE_UP=1",
		"CELERY_TASK_TIME_LIMIT=600", "CORS_ALLOWED_ORIGINS=*", "HOME=/", "OPENAI_API_KEY=secret",
	}).warn(log)
	text := out.String()
	if got := strings.Count(text, "\n"); got != 6 {
		t.Errorf("%d warnings, want 6:\n%s", got, text)
	}
	for _, want := range []string{"name=CELERY_BROKER_URL", "--brokers", "name=REDIS_URL", "--slots-fast",
		"name=CELERY_MADE_UP"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "redis://") || strings.Contains(text, "secret") {
		t.Error("a value was logged: it may hold a password")
	}
}

func TestEveryCommandHasAnExampleAndEveryFlagItsVariable(t *testing.T) {
	a := &app{}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Example == "" || cmd.Short == "" {
			t.Errorf("%s has no example or no description", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(f.Usage, "$"+variableOf(f.Name)) {
				t.Errorf("%s: the help of --%s does not name its variable: %s", cmd.CommandPath(), f.Name, f.Usage)
			}
		})
		for _, below := range cmd.Commands() {
			visit(below)
		}
	}
	visit(a.rootCommand())
}

func TestExamplesParse(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, words := range exampleLines(cmd.Example) {
			found, rest, err := (&app{}).rootCommand().Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), words, err)
			}
		}
		for _, below := range cmd.Commands() {
			visit(below)
		}
	}
	visit((&app{}).rootCommand())
}

// exampleLines splits an example into command lines and those into words, as
// far as the examples need it: single quotes and pipes.
func exampleLines(example string) [][]string {
	var lines [][]string
	for line := range strings.SplitSeq(strings.ReplaceAll(example, "\\\n", " "), "\n") {
		if _, after, piped := strings.Cut(line, "| "); piped {
			line = after
		}
		var words []string
		for i, piece := range strings.Split(line, "'") {
			if i%2 == 1 {
				words = append(words, piece)
			} else {
				words = append(words, strings.Fields(piece)...)
			}
		}
		if len(words) > 0 {
			lines = append(lines, words)
		}
	}
	return lines
}

func FuzzSeconds(f *testing.F) {
	for _, text := range []string{"300", "0.5", "-1", "1e400", "NaN", "10m", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		converted, err := seconds(text)
		if err != nil {
			return
		}
		if d, err := time.ParseDuration(converted); err != nil || d < 0 {
			t.Fatalf("%q became %q: %v", text, converted, err)
		}
	})
}

// A variable that is nearly one of ours was meant to be; one that Kubernetes makes of a
// service was not.
func TestMisspeltVariablesAreToldOf(t *testing.T) {
	for variable, meant := range map[string]string{
		"TASKLANE_BROKER": "TASKLANE_BROKERS", "TASKLANE_DATADIR": "TASKLANE_DATA_DIR",
		"TASKLANE_SLOT_FAST":     "TASKLANE_SLOTS_FAST",
		"TASKLANE_KAFKA_PASWORD": "TASKLANE_KAFKA_PASSWORD", "TASKLANE_Topic_Prefix": "TASKLANE_TOPIC_PREFIX",
		"TASKLANE_BROKERS": "", "TASKLANE_KAFKA_PASSWORD": "", "TASKLANE_SERVICE_HOST": "", "TASKLANE_PORT": "",
		"TASKLANE_PORT_8080_TCP": "", "TASKLANE_PORT_8080_TCP_ADDR": "", "TASKLANE_API_SERVICE_PORT_HTTP": "",
		"TASKLANE_SOMETHING_ELSE": "", "BROKERS": "", "TASKLANE_": "",
	} {
		got := run(t, []string{"version"}, variable+"=x")
		if warned := strings.Contains(got.stderr, "is not known"); got.code != exitFine || warned != (meant != "") {
			t.Errorf("%s: %+v, want a warning: %v", variable, got, meant != "")
		}
		if !strings.Contains(got.stderr, "did_you_mean="+meant) && meant != "" {
			t.Errorf("%s: %s", variable, got.stderr)
		}
	}
}
