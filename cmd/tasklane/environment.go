package main

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/nearest"
)

// annotationRole marks commands that run a role: they read the old system's
// names, and warn of those that have no meaning any more.
const annotationRole = "role"

const variablePrefix = "TASKLANE_"

// variableOf is the environment variable of a flag: TASKLANE_DATA_DIR for
// data-dir.
func variableOf(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// describeEnvironment adds its variable to the help of every flag.
func describeEnvironment(cmd *cobra.Command) {
	describe := func(f *pflag.Flag) {
		if f.Name != "help" && !strings.Contains(f.Usage, "[$") {
			f.Usage += " [$" + variableOf(f.Name) + "]"
		}
	}
	cmd.PersistentFlags().VisitAll(describe)
	cmd.Flags().VisitAll(describe)
	for _, below := range cmd.Commands() {
		describeEnvironment(below)
	}
}

// environment is what the process was started with.
type environment struct{ values map[string]string }

func newEnvironment(pairs []string) environment {
	values := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" {
			values[name] = value
		}
	}
	return environment{values}
}

// lookup reads a variable; one that is empty counts as none.
func (e environment) lookup(name string) (string, bool) {
	value, ok := e.values[name]
	return value, ok
}

// oldName is a variable of the system Tasklane replaces that keeps working.
type oldName struct {
	name    string
	flags   []string
	convert func(string) (string, error)
}

func oldNames() []oldName {
	return []oldName{
		{"CORS_ALLOWED_ORIGINS", []string{"cors-allowed-origins"}, asItIs},
		{"CELERY_TASK_SOFT_TIME_LIMIT", []string{"task-soft-time-limit"}, seconds},
		{"CELERY_TASK_TIME_LIMIT", []string{"task-time-limit"}, seconds},
		{"CELERY_WORKER_CONCURRENCY", []string{"slots-fast", "slots-heavy"}, asItIs},
	}
}

// fill sets the flags that were not given: from their own variable, else from
// an old one.
func (e environment) fill(flags *pflag.FlagSet) error {
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		variable := variableOf(f.Name)
		value, ok := e.values[variable]
		if f.Changed || !ok || f.Name == "help" || first != nil {
			return
		}
		if secret, ok := f.Value.(*secretFlag); ok {
			*secret = secretFlag(value)
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			first = cli.Usagef("environment variable %s=%q: %s", variable, value, wrongValue(err))
		}
	})
	if first != nil {
		return first
	}
	for _, old := range oldNames() {
		if err := e.fillOld(flags, old); err != nil {
			return err
		}
	}
	return nil
}

func (e environment) fillOld(flags *pflag.FlagSet, old oldName) error {
	value, ok := e.values[old.name]
	if !ok {
		return nil
	}
	for _, name := range old.flags {
		f := flags.Lookup(name)
		if f == nil || f.Changed {
			continue
		}
		converted, err := old.convert(value)
		if err == nil {
			err = flags.Set(name, converted)
		}
		if err != nil {
			return cli.Usagef("environment variable %s=%q: %s", old.name, value, wrongValue(err))
		}
	}
	return nil
}

func asItIs(value string) (string, error) { return value, nil }

func seconds(value string) (string, error) {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(n) || n <= 0 || n > math.MaxInt32 {
		return "", fmt.Errorf("want a number of seconds, for example 300")
	}
	return time.Duration(n * float64(time.Second)).String(), nil
}

// replacements says what stands for the old names that do nothing any more.
func replacements() map[string]string {
	return map[string]string{
		"CELERY_BROKER_URL": "--brokers (TASKLANE_BROKERS) names the Kafka brokers; without it " +
			"`tasklane up` uses its own",
		"BROKER_URL": "--brokers (TASKLANE_BROKERS) names the Kafka brokers; without it " +
			"`tasklane up` uses its own",
		"CELERY_RESULT_BACKEND": "results are events on task-events; read them from " +
			"the API or with `tasklane result`",
		"REDIS_URL":  "there is no Redis; --brokers (TASKLANE_BROKERS) names the Kafka brokers",
		"REDIS_HOST": "there is no Redis; --brokers (TASKLANE_BROKERS) names the Kafka brokers",
		"CELERY_WORKER_PREFETCH_MULTIPLIER": "read-ahead is bounded by itself; --slots-fast and --slots-heavy " +
			"say how many tasks run at once",
		"CELERY_TASK_SERIALIZER":             "tasks, events and results are always JSON",
		"CELERY_RESULT_SERIALIZER":           "tasks, events and results are always JSON",
		"CELERY_ACCEPT_CONTENT":              "tasks, events and results are always JSON",
		"CELERY_TIMEZONE":                    "times are always UTC (RFC 3339)",
		"CELERY_ENABLE_UTC":                  "times are always UTC (RFC 3339)",
		"CELERY_TASK_ROUTES":                 "the topic a task is sent to decides its lane: tasks.fast or tasks.heavy",
		"CELERY_TASK_DEFAULT_QUEUE":          "the topic a task is sent to decides its lane: tasks.fast or tasks.heavy",
		"CELERY_TASK_ACKS_LATE":              "a task is always acknowledged after its end counts; see docs/DELIVERY.md",
		"CELERY_TASK_REJECT_ON_WORKER_LOST":  "a task whose worker is lost always runs again, a bounded number of times",
		"CELERY_TASK_TRACK_STARTED":          "the start of a task is always an event",
		"CELERY_RESULT_EXPIRES":              "the retention of the topic task-events says how long results are kept",
		"CELERY_WORKER_MAX_TASKS_PER_CHILD":  "services in this process need no recycling",
		"CELERY_WORKER_MAX_MEMORY_PER_CHILD": "services in this process need no recycling",
		"CELERY_BROKER_TRANSPORT_OPTIONS": "--session-timeout (TASKLANE_SESSION_TIMEOUT) says after how long a " +
			"silent worker's tasks go to another",
		"CELERY_BROKER_CONNECTION_RETRY_STARTUP": "the broker is always tried for 10 s at the start",
	}
}

// warn says once for every old variable that is set and does nothing what
// replaces it.
func (e environment) warn(log *slog.Logger) {
	known := replacements()
	working := make(map[string]bool)
	for _, old := range oldNames() {
		working[old.name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(e.values)) {
		advice, old := known[name]
		if !old && (!strings.HasPrefix(name, "CELERY_") || working[name]) {
			continue
		}
		if !old {
			advice = "it has no counterpart; `tasklane up --help` lists the settings there are"
		}
		log.Warn("environment variable has no effect", "name", name, "instead", advice)
	}
}

// misspelt warns of variables that look like one of Tasklane's and are none: they would
// be passed over without a word. Kubernetes makes such names too, of its services.
func (e environment) misspelt(root *cobra.Command, log *slog.Logger) {
	known := make(map[string]bool)
	var collect func(*cobra.Command)
	collect = func(cmd *cobra.Command) {
		note := func(f *pflag.Flag) { known[strings.TrimPrefix(variableOf(f.Name), variablePrefix)] = true }
		cmd.PersistentFlags().VisitAll(note)
		cmd.Flags().VisitAll(note)
		for _, below := range cmd.Commands() {
			collect(below)
		}
	}
	collect(root)
	names := slices.Sorted(maps.Keys(known))
	for _, name := range slices.Sorted(maps.Keys(e.values)) {
		short, own := strings.CutPrefix(name, variablePrefix)
		if !own || len(short) < 3 || known[short] || ofAService.MatchString(name) {
			continue
		}
		meant, near := nearest.Name(short, names...)
		if near && max(len(meant), len(short)) <= min(len(meant), len(short))+3 { // no mere beginning of a name
			log.Warn("environment variable is not known and has no effect", "name", name, "did_you_mean", variablePrefix+meant)
		}
	}
}

// ofAService matches what Kubernetes sets for a service named tasklane or tasklane-api.
var ofAService = regexp.MustCompile(`_(PORT|SERVICE_HOST|PORT_\d+_.*|SERVICE_PORT.*)$`)
