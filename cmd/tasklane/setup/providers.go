package setup

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/services/anthropic"
	"github.com/aiecs/tasklane/processor/services/openai"
	"github.com/aiecs/tasklane/processor/services/vertex"
	door "github.com/aiecs/tasklane/producer/openai"
)

// ProviderServices are the services of the providers that are set, which share one flow.
func ProviderServices(settings *config.Settings, lookup Lookup, log *slog.Logger) ([]processor.Service, error) {
	var providers []provider.Provider
	names := slices.Sorted(maps.Keys(settings.Providers))
	for _, name := range names {
		p, err := newProvider(name, settings.Providers[name], lookup)
		if err != nil {
			return nil, cli.AsUsage(fmt.Errorf("providers.%s: %w", name, err))
		}
		providers = append(providers, p)
	}
	flow, err := provider.NewFlow(provider.FlowConfig{
		Providers: providers, Settings: settings.Providers, Models: settings.Models, Limits: settings.Limits,
		Budgets: settings.Budgets, Prices: settings.Prices, Cache: settings.Cache, Logger: log,
	})
	if err != nil {
		return nil, cli.AsUsage(err)
	}
	services := make([]processor.Service, len(providers))
	for i, p := range providers {
		services[i] = provider.Service(names[i], p, flow)
	}
	return services, nil
}

// newProvider makes the adapter of a provider. Its error never holds a secret.
func newProvider(name string, p config.Provider, lookup Lookup) (provider.Provider, error) {
	key, err := p.APIKey.Resolve(lookup)
	if err != nil {
		return nil, fmt.Errorf("api_key: %w", err)
	}
	headers, err := headersOf(p.Headers, lookup)
	if err != nil {
		return nil, err
	}
	switch p.Protocol(name) {
	case config.TypeAnthropic:
		return anthropic.New(anthropic.Options{
			Name: name, BaseURL: p.BaseURL, APIKey: key, Headers: headers, ConnectTimeout: p.ConnectTimeout,
			IdleTimeout: p.IdleTimeout,
		})
	case config.TypeVertex:
		return vertex.New(vertex.Options{
			Name: name, Project: p.Project, Location: p.Location, BaseURL: p.BaseURL, Headers: headers,
			ConnectTimeout: p.ConnectTimeout, IdleTimeout: p.IdleTimeout,
		})
	case config.TypeXAI:
		if p.BaseURL == "" && key != "" {
			p.BaseURL = openai.XAIBaseURL
		}
	}
	return openai.New(openai.Options{
		Name: name, BaseURL: p.BaseURL, APIKey: key, Headers: headers, Organization: p.Organization, Project: p.Project,
		API: openai.API(p.API), JSONImages: p.Protocol(name) == config.TypeXAI,
		ConnectTimeout: p.ConnectTimeout, IdleTimeout: p.IdleTimeout,
	})
}

// headersOf are headers with their secrets.
func headersOf(settings map[string]config.Secret, lookup Lookup) (map[string]string, error) {
	headers := make(map[string]string, len(settings))
	for name, secret := range settings {
		value, err := secret.Resolve(lookup)
		if err != nil {
			return nil, fmt.Errorf("headers.%s: %w", name, err)
		}
		headers[name] = value
	}
	return headers, nil
}

// Models say which services take the requests of the OpenAI API.
func Models(settings *config.Settings) (door.Models, error) {
	prices, err := provider.NewPrices(settings.Prices)
	if err != nil {
		return door.Models{}, cli.AsUsage(err)
	}
	models := door.ModelsOf(*settings)
	models.Listed = listedModels(settings)
	// Providers may be set at the processors alone; where they are set here, what they have
	// not is for whatever stands behind chat/openai.
	models.ProviderOf = func(model string) string {
		name := prices.Provider(model)
		if _, known := settings.Providers[name]; !known && len(settings.Providers) > 0 {
			return ""
		}
		return name
	}
	return models, nil
}

// listedModels are those that the settings name: a provider's default model by its own
// name, others as provider/model.
func listedModels(settings *config.Settings) []string {
	listed := map[string]bool{}
	for _, p := range settings.Providers {
		if p.DefaultModel != "" {
			listed[p.DefaultModel] = true
		}
	}
	for name := range settings.Prices {
		listed[name] = true
	}
	for _, l := range settings.Limits {
		for _, model := range l.Models {
			if model != config.All {
				listed[l.Provider+"/"+model] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(listed))
}
