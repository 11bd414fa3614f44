// Package setup puts tasklane.yaml, the environment and flags together, and makes of them
// what processors and the API are given: services as they are set, and the commands that
// check and print the settings.
package setup

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
)

// Flags say where tasklane.yaml is, and what wins over it.
type Flags struct {
	path     string
	limits   limitsFlag
	children servicesFlag[config.Subprocess]
	servers  servicesFlag[config.HTTPService]
	remote   servicesFlag[config.RemoteService]
	asked    bool // by a command that has them
}

// AddTo adds the flags to a command's.
func (c *Flags) AddTo(flags *pflag.FlagSet) {
	c.asked = true
	flags.StringVar(&c.path, "config", "",
		"file with services, providers, models, limits, budgets and prices (docs/CONFIG.md)")
	flags.Var(&c.limits, "provider-limit",
		"requests, input and output tokens a minute that a model may be asked for: "+
			"openai/gpt-5=rpm:600,itpm:90000,otpm:30000; "+
			"openai/* is each of its models; give it once for each limit (in the environment with ; between them)")
	c.children.parse, c.servers.parse = config.ParseSubprocess, config.ParseHTTPService
	c.remote.parse = config.ParseRemoteService
	flags.Var(&c.children, "subprocess",
		"service in a process of its own, in any language: 'MODE/NAME=COMMAND;children=2;max_tasks=1000;max_memory=512MiB'; "+
			"give it once for each service (in the environment with a line for each; docs/SUBPROCESS.md)")
	flags.Var(&c.servers, "http-service",
		"service that is asked over HTTP: 'MODE/NAME=URL;max_inflight=8;token=env:NAME;allow=10.0.0.0/8'; "+
			"give it once for each service (in the environment with a line for each; docs/HTTP-SERVICES.md)")
	flags.Var(&c.remote, "remote-service",
		"service whose workers ask for its tasks at --worker-listen: 'MODE/NAME;token=env:NAME;heartbeat=30s'; "+
			"give it once for each service (in the environment with a line for each; docs/REMOTE-WORKERS.md)")
}

// limitsFlag gathers limits, one each time it is given.
type limitsFlag []config.Limit

// Set adds a limit, or several with semicolons between them.
func (f *limitsFlag) Set(text string) error {
	for one := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		limit, err := config.ParseLimit(strings.TrimSpace(one))
		if err != nil {
			return err //nolint:wrapcheck // it says what is wanted
		}
		*f = append(*f, limit)
	}
	return nil
}

// Type is what help shows.
func (f *limitsFlag) Type() string { return "limit" }

// String is how many there are.
func (f *limitsFlag) String() string {
	if len(*f) == 0 {
		return ""
	}
	return fmt.Sprintf("%d limits", len(*f))
}

// servicesFlag gathers services outside of the process by their names.
type servicesFlag[T any] struct {
	given map[string]T
	parse func(text string) (name string, service T, err error)
}

// Set adds a service, or several on lines of their own.
func (f *servicesFlag[T]) Set(text string) error {
	for one := range strings.Lines(text) {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		name, s, err := f.parse(one)
		if err != nil {
			return err
		}
		if _, there := f.given[name]; there {
			return fmt.Errorf("%s is given twice", name)
		}
		if f.given == nil {
			f.given = map[string]T{}
		}
		f.given[name] = s
	}
	return nil
}

// Type is what help shows.
func (f *servicesFlag[T]) Type() string { return "service" }

// String is how many there are.
func (f *servicesFlag[T]) String() string {
	if len(f.given) == 0 {
		return ""
	}
	return fmt.Sprintf("%d services", len(f.given))
}

// Lookup reads an environment variable; one that is empty counts as none.
type Lookup = func(name string) (value string, ok bool)

// Load puts file, environment and flags together; nothing for commands without the flags.
func (c *Flags) Load(lookup Lookup, log *slog.Logger) (*config.Settings, error) {
	if !c.asked {
		return new(config.Settings), nil
	}
	settings, err := config.Load(config.Sources{Path: c.path, Lookup: lookup, Limits: c.limits,
		Subprocesses: c.children.given, HTTPServices: c.servers.given, RemoteServices: c.remote.given})
	if err != nil {
		return nil, cli.AsUsage(err)
	}
	for _, warning := range settings.Loose(c.path) {
		log.Warn(warning)
	}
	return settings, nil
}
