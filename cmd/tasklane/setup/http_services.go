package setup

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/ssrf"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/httpservice"
)

// HTTPServices are the services that are asked over HTTP.
func HTTPServices(settings *config.Settings, lookup Lookup, log *slog.Logger) ([]processor.Service, error) {
	var services []processor.Service
	for _, name := range slices.Sorted(maps.Keys(settings.HTTPServices)) {
		set := settings.HTTPServices[name]
		headers, err := httpHeaders(set, lookup)
		if err != nil {
			return nil, cli.AsUsage(fmt.Errorf("http_services.%s: %w", name, err))
		}
		allow, err := ssrf.ParseAllow("http_services."+name+".allow", set.Allow)
		if err != nil {
			return nil, cli.AsUsage(err)
		}
		mode, service, _ := strings.Cut(name, "/")
		s, err := httpservice.New(httpservice.Config{
			Mode: mode, Name: service, URL: set.URL, Headers: headers, Allow: allow, MaxInflight: set.MaxInflight,
			MaxAnswer: int64(set.MaxAnswer), ConnectTimeout: set.ConnectTimeout, Logger: log,
		})
		if err != nil {
			return nil, cli.AsUsage(err)
		}
		services = append(services, s.Service())
	}
	return services, nil
}

// httpHeaders are the headers that a service is sent, its token among them.
func httpHeaders(set config.HTTPService, lookup Lookup) (map[string]string, error) {
	headers, err := headersOf(set.Headers, lookup)
	if err != nil {
		return nil, err
	}
	token, err := set.Token.Resolve(lookup)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	if token != "" {
		headers["Authorization"] = "Bearer " + token
	}
	return headers, nil
}
