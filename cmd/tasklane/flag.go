package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/nearest"
)

// slotsFlag is a number of slots. None would run nothing, and 0 is what the
// settings of a role without slots have.
type slotsFlag int

// Set reads the number.
func (f *slotsFlag) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return cli.ErrUnwanted
	}
	*f = slotsFlag(n)
	return nil
}

// Type is what help shows.
func (f *slotsFlag) Type() string   { return "int" }
func (f *slotsFlag) String() string { return strconv.Itoa(int(*f)) }

// Wants is what to write instead.
func (f *slotsFlag) Wants() string { return "a whole number of at least 1" }

// secretFlag is a secret that comes from its environment variable only: what
// stands on a command line can be seen by everybody on the machine, and stays in
// the shell's history.
type secretFlag string

// Set refuses: it is called for the command line.
func (f *secretFlag) Set(string) error { return cli.ErrUnwanted }

// Type is what help would show.
func (f *secretFlag) Type() string { return "secret" }

// String never shows the secret.
func (f *secretFlag) String() string { return "" }

// Wants is what to do instead.
func (f *secretFlag) Wants() string {
	return "a secret in a file or in the environment, not on the command line, where everybody can see it"
}

// explainFlag says of a flag that was given and cannot be read what it wants.
func explainFlag(cmd *cobra.Command, err error) error {
	if said := cmd.Flags().Args(); cmd.HasSubCommands() && len(said) > 0 {
		return cli.NoArguments(cmd, said) // "worker -A proj": first of all there is no such command
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if name := unknown.GetSpecifiedName(); name == "A" || name == "app" {
			return fmt.Errorf("%w; no Celery app is loaded by this flag: \"tasklane processor\" runs services, and "+
				"docs/MOVING-FROM-CELERY.md says how an app becomes one", err)
		}
		if meant := flagMeant(cmd, unknown.GetSpecifiedName()); meant != "" {
			return fmt.Errorf("%w; did you mean --%s?", err, meant)
		}
		return err
	}
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	if _, secret := invalid.GetFlag().Value.(*secretFlag); secret {
		return cli.Usagef("--%s: %s", invalid.GetFlag().Name, wrongValue(invalid)) // without the secret
	}
	return cli.Usagef("--%s %q: %s", invalid.GetFlag().Name, invalid.GetValue(), wrongValue(invalid))
}

// flagMeant is the flag of a command that was most likely meant by a name that it does
// not have, "" if none is near.
func flagMeant(cmd *cobra.Command, given string) string {
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			known = append(known, f.Name)
		}
	})
	for _, other := range otherWords()[given] {
		if slices.Contains(known, other) {
			return other
		}
	}
	if name, near := nearest.Name(given, known...); near {
		return name
	}
	words := strings.Split(given, "-")
	for _, name := range known { // that begins or ends with the same word
		has := strings.Split(name, "-")
		if len(words) > 1 && (words[0] == has[0] || words[len(words)-1] == has[len(has)-1]) {
			return name
		}
	}
	return ""
}

// otherWords are what other programs call our flags.
func otherWords() map[string][]string {
	return map[string][]string{
		"task": {"name", "task-id"}, "id": {"task-id"}, "queue": {"lane", "lanes"}, "q": {"lane", "lanes"},
		"payload": {"input"}, "data": {"input", "data-dir"}, "body": {"input"}, "args": {"input"}, "kwargs": {"input"},
		"eta": {"not-before"}, "countdown": {"not-before"}, "delay": {"not-before"},
		"timeout":         {"time-limit", "give-up-after"},
		"soft-time-limit": {"soft-limit"}, "max-retries": {"retry"}, "attempts": {"retry"}, "webhook": {"callback"},
		"follow": {"watch"}, "f": {"watch"},
		"json": {"output"}, "format": {"output"}, "host": {"server", "api-addr"}, "url": {"server"},
		"api":               {"server", "api-addr"},
		"port":              {"api-addr", "notifier-addr", "broker-addr", "metrics-addr"},
		"listen":            {"api-addr", "notifier-addr", "broker-addr"},
		"bootstrap-servers": {"brokers"}, "bootstrap-server": {"brokers"}, "kafka": {"brokers"}, "prefix": {"topic-prefix"},
		"Q": {"lanes", "lane"}, "queues": {"lanes"}, "c": {"slots-fast"}, "l": {"log-level"}, "loglevel": {"log-level"},
		"concurrency": {"slots-fast"}, "workers": {"slots-fast"}, "from": {"since"}, "cursor": {"since"},
		"secret":     {"auth-secret-file"},
		"jwt-secret": {"auth-secret-file"}, "verbose": {"log-level"}, "v": {"log-level"}, "debug": {"log-level"},
		"duration": {"for"}, "ttl": {"for", "expires"}, "expires": {"for"}, "expires-at": {"for", "expires"},
	}
}

// wrongValue says why a flag was not set, in the sender's words and not in Go's.
func wrongValue(err error) string {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err.Error()
	}
	value := invalid.GetFlag().Value
	if own, ok := value.(interface{ Wants() string }); ok {
		return "want " + own.Wants()
	}
	switch value.Type() {
	case "int", "int64":
		return "want a whole number, for example 4"
	case "float64":
		return "want a number, for example 0.5"
	case "duration":
		return "want a time with its unit, for example 30s or 2h"
	case "bool":
		return "want true or false"
	}
	return invalid.Unwrap().Error()
}
