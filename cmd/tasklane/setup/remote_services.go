package setup

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor/external/remote"
)

// RemoteWorkers is where the workers of remote services ask for their tasks, nil if there are none. What is given of it
// are its address, bounds and logger.
func RemoteWorkers(settings *config.Settings, lookup Lookup, at remote.Config) (*remote.Server, error) {
	var err error
	at.Services, err = remoteServices(settings, lookup)
	switch {
	case err != nil:
		return nil, err
	case len(at.Services) == 0 && at.Addr == "":
		return nil, nil
	case len(at.Services) == 0:
		return nil, cli.Usagef("--worker-listen %s: no worker could ask for anything there; name services with "+
			"--remote-service, or in tasklane.yaml as remote_services", at.Addr)
	case at.Addr == "":
		return nil, cli.Usagef("the remote service %s/%s has no address where its workers can ask for tasks; give one with "+
			"--worker-listen, for example 127.0.0.1:8090", at.Services[0].Mode, at.Services[0].Name)
	}
	server, err := remote.New(at)
	if err != nil {
		return nil, cli.AsUsage(err)
	}
	return server, nil
}

// remoteServices are the remote services that are not turned off, with their tokens.
func remoteServices(settings *config.Settings, lookup Lookup) ([]remote.ServiceConfig, error) {
	var services []remote.ServiceConfig
	for _, name := range slices.Sorted(maps.Keys(settings.RemoteServices)) {
		set := settings.RemoteServices[name]
		if enabled := settings.Services[name].Enabled; enabled != nil && !*enabled {
			continue
		}
		token, err := set.Token.Resolve(lookup)
		if err != nil {
			return nil, cli.AsUsage(fmt.Errorf("remote_services.%s: token: %w", name, err))
		}
		mode, service, _ := strings.Cut(name, "/")
		services = append(services, remote.ServiceConfig{
			Mode: mode, Name: service, Token: token, MaxInflight: set.MaxInflight, Heartbeat: set.Heartbeat,
		})
	}
	return services, nil
}
