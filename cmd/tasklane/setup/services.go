package setup

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/nearest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/services/echo"
	"github.com/aiecs/tasklane/processor/services/textanalyzer"
)

// BuiltIn are the services that need no settings.
func BuiltIn(debug bool, trace string) []processor.Service {
	services := []processor.Service{textanalyzer.New()}
	if debug {
		services = append(services, echo.New(echo.Options{TraceFile: trace}))
	}
	return services
}

// NewRegistry holds services as they are set, without those that are turned off.
func NewRegistry(settings *config.Settings, services []processor.Service) (*processor.Registry, error) {
	var offered []processor.Service
	for _, s := range services {
		set := settings.Services[s.Mode+"/"+s.Name]
		if set.Enabled == nil || *set.Enabled {
			offered = append(offered, withSettings(s, set))
		}
	}
	registry, err := processor.NewRegistry(offered...)
	if err != nil {
		return nil, fmt.Errorf("register services: %w", err)
	}
	return registry, nil
}

// withSettings is a service with what its settings say over what it says itself.
func withSettings(s processor.Service, set config.Service) processor.Service {
	over(&s.Slots, set.Slots)
	over(&s.SoftTimeLimit, set.SoftTimeLimit)
	over(&s.TimeLimit, set.TimeLimit)
	over(&s.HeartbeatLimit, set.HeartbeatLimit)
	if set.Retry != (config.Retry{}) {
		var retry processor.RetryPolicy
		if s.Retry != nil {
			retry = *s.Retry
		}
		over(&retry.MaxAttempts, set.Retry.MaxAttempts)
		over(&retry.Backoff, set.Retry.Backoff)
		over(&retry.MaxBackoff, set.Retry.MaxBackoff)
		over(&retry.Multiplier, set.Retry.Multiplier)
		s.Retry = &retry
	}
	return s
}

func over[T comparable](target *T, set T) {
	var none T
	if set != none {
		*target = set
	}
}

// CheckServices refuses settings of services that there are not.
func CheckServices(settings *config.Settings, services []processor.Service) error {
	var known []string
	for _, s := range services {
		known = append(known, s.Mode+"/"+s.Name)
	}
	for name := range settings.Providers {
		known = append(known, "chat/"+name)
	}
	known = slices.AppendSeq(known, maps.Keys(settings.Subprocesses))
	known = slices.AppendSeq(known, maps.Keys(settings.HTTPServices))
	known = slices.AppendSeq(known, maps.Keys(settings.RemoteServices))
	slices.Sort(known)
	for _, name := range slices.Sorted(maps.Keys(settings.Services)) {
		if slices.Contains(known, name) {
			continue
		}
		if meant, near := nearest.Name(name, known...); near {
			return cli.Usagef("services.%s: there is no such service; did you mean %s?", name, meant)
		}
		return cli.Usagef("services.%s: there is no such service; there are %s", name, strings.Join(known, ", "))
	}
	return nil
}
