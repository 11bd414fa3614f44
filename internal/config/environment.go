package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// variable is an environment variable that says something of the provider that has the
// name of a type.
type variable struct {
	name     string
	provider string
	// on says that the variable turns the provider on by itself.
	on  bool
	set func(p *Provider, name, value string)
	// want is why a value cannot be used, "" if it can.
	want func(value string) string
}

func variables() []variable {
	var all []variable
	for provider, prefix := range map[string]string{TypeOpenAI: "OPENAI", TypeXAI: "XAI", TypeAnthropic: "ANTHROPIC"} {
		all = append(all,
			variable{name: prefix + "_API_KEY", provider: provider, on: true, want: anything,
				set: func(p *Provider, name, _ string) { p.APIKey = SecretOf(envPrefix + name) }},
			variable{name: prefix + "_BASE_URL", provider: provider, want: problemOfURL,
				set: func(p *Provider, _, value string) { p.BaseURL = value }})
	}
	all = append(all,
		variable{name: "VERTEX_PROJECT_ID", provider: TypeVertex, on: true, want: anything,
			set: func(p *Provider, _, value string) { p.Project = value }},
		variable{name: "VERTEX_LOCATION", provider: TypeVertex, want: anything,
			set: func(p *Provider, _, value string) { p.Location = value }})
	slices.SortFunc(all, func(a, b variable) int {
		if a.on != b.on && a.on {
			return -1 // what else is said of a provider follows
		}
		if a.on != b.on {
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return all
}

func anything(string) string { return "" }

// Variables are the names of the environment variables that are read.
func Variables() []string {
	var names []string
	for _, v := range variables() {
		names = append(names, v.name)
	}
	return names
}

// add puts the environment and the limits over what the file says.
func (d *decoder) add(settings *Settings, from Sources) {
	for _, v := range variables() {
		value, given := from.Lookup(v.name)
		provider, there := settings.Providers[v.provider]
		if !given || value == "" || !there && !v.on {
			continue
		}
		if problem := v.want(value); problem != "" {
			d.problems = append(d.problems, Problem{File: "environment variable " + v.name, Text: problem})
			continue
		}
		if settings.Providers == nil {
			settings.Providers = map[string]Provider{}
		}
		v.set(&provider, v.name, value)
		settings.Providers[v.provider] = provider
	}
	settings.Subprocesses = over(settings.Subprocesses, from.Subprocesses)
	settings.HTTPServices = over(settings.HTTPServices, from.HTTPServices)
	settings.RemoteServices = over(settings.RemoteServices, from.RemoteServices)
	for _, l := range from.Limits {
		same := func(o Limit) bool {
			return o.Provider == l.Provider && o.User == "" && slices.Equal(o.Of(), l.Of())
		}
		if i := slices.IndexFunc(settings.Limits, same); i >= 0 {
			settings.Limits[i] = l
			continue
		}
		settings.Limits = append(settings.Limits, l)
	}
}

// over puts services by name over those of the file.
func over[T any](file, given map[string]T) map[string]T {
	if file == nil {
		return given
	}
	maps.Copy(file, given)
	return file
}

// Of are the models that share a limit, All if each has its own.
func (l Limit) Of() []string {
	if len(l.Models) == 0 {
		return []string{All}
	}
	return slices.Sorted(slices.Values(l.Models))
}

// checkProviders looks for the providers that are named, and must be called when all are
// known.
func (s *Settings) checkProviders(wrong report) {
	known := slices.Sorted(maps.Keys(s.Providers))
	look := func(key, name string) {
		if _, ok := s.Providers[name]; ok || name == "" {
			return
		}
		if len(known) == 0 {
			wrong(key, fmt.Sprintf("there is no provider %q, nor any other; give it under providers, or set its API key "+
				"in the environment, for example OPENAI_API_KEY", name))
			return
		}
		wrong(key, "there is no such provider: "+oneOf(name, known))
	}
	for i, l := range s.Limits {
		look(fmt.Sprintf("limits[%d].provider", i), l.Provider)
	}
	for _, alias := range slices.Sorted(maps.Keys(s.Models)) {
		look("models."+alias+".provider", s.Models[alias].Provider)
		for i, next := range s.Models[alias].Fallback {
			if provider, _, full := strings.Cut(next, "/"); full && !s.isAlias(next) {
				look(fmt.Sprintf("models.%s.fallback[%d]", alias, i), provider)
			}
		}
	}
}
