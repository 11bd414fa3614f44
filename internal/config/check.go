package config

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/nearest"
)

// report takes down what is wrong with the setting at a key.
type report func(key, text string)

// check is what can be said of settings by themselves. What needs to know services or
// prices is for those who do.
func (s *Settings) check(wrong report) {
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		s.Services[name].check("services."+name, name, wrong)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Providers)) {
		s.Providers[name].check("providers."+name, name, wrong)
	}
	for _, alias := range slices.Sorted(maps.Keys(s.Models)) {
		s.checkModel(alias, wrong)
	}
	for i, l := range s.Limits {
		l.check(fmt.Sprintf("limits[%d]", i), wrong)
	}
	for i, b := range s.Budgets {
		b.check(fmt.Sprintf("budgets[%d]", i), wrong)
	}
	for _, model := range slices.Sorted(maps.Keys(s.Prices)) {
		s.Prices[model].check("prices."+model, model, wrong)
	}
	s.Artifacts.check("artifacts", wrong)
	s.checkSubprocesses(wrong)
	s.checkHTTPServices(wrong)
	s.checkRemoteServices(wrong)
}

var (
	providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)
	serviceName  = regexp.MustCompile(`^[^/\s]{1,100}/[^/\s]{1,100}$`)
	modelName    = regexp.MustCompile(`^[^\s*]{1,200}$`)
	headerName   = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]{1,100}$`)
)

func (s Service) check(key, name string, wrong report) {
	if !serviceName.MatchString(name) {
		wrong(key, "must be mode/name, for example chat/openai")
	}
	if s.SoftTimeLimit > 0 && s.TimeLimit > 0 && s.SoftTimeLimit > s.TimeLimit {
		wrong(key+".soft_time_limit", "must not be longer than time_limit")
	}
	for name, limit := range map[string]time.Duration{
		"soft_time_limit": s.SoftTimeLimit, "time_limit": s.TimeLimit, "heartbeat_limit": s.HeartbeatLimit,
		"retry.backoff": s.Retry.Backoff, "retry.max_backoff": s.Retry.MaxBackoff,
	} {
		if limit%time.Millisecond != 0 {
			wrong(key+"."+name, "must be whole milliseconds, for example 1500ms")
		}
	}
	if m := s.Retry.Multiplier; m != 0 && (m < 1 || m > 100 || math.IsNaN(m)) {
		wrong(key+".retry.multiplier", "must be a number from 1 to 100")
	}
	if s.Retry.MaxBackoff > 0 && s.Retry.Backoff > s.Retry.MaxBackoff {
		wrong(key+".retry.backoff", "must not be longer than max_backoff")
	}
}

func types() []string { return []string{TypeOpenAI, TypeXAI, TypeAnthropic, TypeVertex} }

// Protocol is the provider's type, which its name says if nothing else does.
func (p Provider) Protocol(name string) string {
	if p.Type == "" {
		return name
	}
	return p.Type
}

func (p Provider) check(key, name string, wrong report) {
	if !providerName.MatchString(name) {
		wrong(key, "must be a name of a-z, 0-9, . _ and -, beginning with a letter or digit: its service is chat/NAME")
	}
	protocol := p.Protocol(name)
	if !slices.Contains(types(), protocol) {
		wrong(key+".type", oneOf(protocol, types())+"; a server that speaks OpenAI's API is of type openai")
	}
	if problem := problemOfURL(p.BaseURL); p.BaseURL != "" && problem != "" {
		wrong(key+".base_url", problem)
	}
	if p.API != "" && p.API != APIResponses && p.API != APIChatCompletions {
		wrong(key+".api", oneOf(p.API, []string{APIResponses, APIChatCompletions}))
	}
	if protocol == TypeVertex && p.Project == "" {
		wrong(key+".project", "must be given: the project's id in Google Cloud")
	}
	for header := range p.Headers {
		if !headerName.MatchString(header) {
			wrong(key+".headers."+header, "must be the name of an HTTP header")
		}
	}
	if p.DefaultModel != "" && !modelName.MatchString(p.DefaultModel) {
		wrong(key+".default_model", "must be a model's name, without spaces")
	}
}

// oneOf refuses a text that is none of those known.
func oneOf(text string, known []string) string {
	if meant, near := nearest.Name(text, known...); near {
		return fmt.Sprintf("%q is not known; did you mean %s?", text, meant)
	}
	return fmt.Sprintf("%q is not known; there are %s", text, strings.Join(known, ", "))
}

// problemOfURL is why a text is no address of a server.
func problemOfURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "must be a URL, for example https://api.openai.com/v1"
	case u.User != nil:
		return "must not hold a user or password; a key goes into api_key or headers"
	case u.RawQuery != "" || u.Fragment != "":
		return "must end with its path, without ? and #"
	}
	return ""
}

// checkModel looks at what an alias stands for, and that its fallbacks end.
func (s *Settings) checkModel(alias string, wrong report) {
	key, m := "models."+alias, s.Models[alias]
	if !modelName.MatchString(alias) {
		wrong(key, "must be a model's name, without spaces and *")
	}
	switch {
	case m.Provider == "" && m.Service == "":
		wrong(key+".provider", "must be given, or a service")
	case m.Provider != "" && !providerName.MatchString(m.Provider):
		wrong(key+".provider", "must be the name of a provider")
	}
	if m.Service != "" && !serviceName.MatchString(m.Service) {
		wrong(key+".service", "must be mode/name, for example chat/openai")
	}
	if m.Model != "" && !modelName.MatchString(m.Model) {
		wrong(key+".model", "must be a model's name, without spaces and *")
	}
	for i, next := range m.Fallback {
		at := fmt.Sprintf("%s.fallback[%d]", key, i)
		provider, model, full := strings.Cut(next, "/")
		switch {
		case s.isAlias(next):
			if s.leadsTo(next, alias, map[string]bool{}) {
				wrong(at, fmt.Sprintf("leads back to %s; let the chain end", alias))
			}
		case !full || !providerName.MatchString(provider) || !modelName.MatchString(model):
			wrong(at, oneOf(next, slices.Sorted(maps.Keys(s.Models)))+"; or write provider/model")
		}
	}
}

func (s *Settings) isAlias(name string) bool {
	_, ok := s.Models[name]
	return ok
}

// leadsTo reports whether an alias, or a fallback of it, is a target.
func (s *Settings) leadsTo(alias, target string, seen map[string]bool) bool {
	if alias == target {
		return true
	}
	if seen[alias] {
		return false
	}
	seen[alias] = true
	return slices.ContainsFunc(s.Models[alias].Fallback, func(next string) bool {
		return s.leadsTo(next, target, seen)
	})
}

func (l Limit) check(key string, wrong report) {
	if !providerName.MatchString(l.Provider) {
		wrong(key+".provider", "must be the name of a provider")
	}
	for i, model := range l.Models {
		at := fmt.Sprintf("%s.models[%d]", key, i)
		switch {
		case model == All && len(l.Models) > 1:
			wrong(at, "* is all models; leave the others out")
		case model != All && !modelName.MatchString(model):
			wrong(at, "must be a model's name, without spaces, or *")
		case slices.Index(l.Models, model) < i:
			wrong(at, "is given twice")
		}
	}
	if l.RPM == 0 && l.ITPM == 0 && l.OTPM == 0 {
		wrong(key, "limits nothing; give rpm, itpm or otpm")
	}
	checkUser(key, l.User, wrong)
}

func checkUser(key, user string, wrong report) {
	if len(user) > 200 {
		wrong(key+".user", "must have at most 200 characters")
	}
}

func (b Budget) check(key string, wrong report) {
	checkUser(key, b.User, wrong)
	if b.USDPerDay <= 0 {
		wrong(key+".usd_per_day", "must be more than 0; to refuse tasks pause the service")
	}
	if name, value, given := strings.Cut(b.Label, "="); b.Label != "" && (name == "" || given && value == "") {
		wrong(key+".label", "must be name=value, or name for each value by itself")
	}
}

func (p Price) check(key, model string, wrong report) {
	if provider, name, ok := strings.Cut(model, "/"); !ok || !providerName.MatchString(provider) ||
		!modelName.MatchString(name) {
		wrong(key, "must be provider/model, for example openai/gpt-5")
	}
	if p.Input == nil && p.Output == nil {
		wrong(key, "must give input or output, in dollars for a million tokens")
	}
	for name, amount := range map[string]*Money{
		"input": p.Input, "cache_read": p.CacheRead, "cache_write": p.CacheWrite, "cache_write_1h": p.CacheWrite1h,
		"output": p.Output,
	} {
		checkPrice(key+"."+name, amount, wrong)
	}
	for i, above := range p.Above {
		at := fmt.Sprintf("%s.above[%d]", key, i)
		if above.Tokens <= 0 || i > 0 && above.Tokens <= p.Above[i-1].Tokens {
			wrong(at+".tokens", "must be more than 0, and more than the one before it")
		}
		for name, amount := range map[string]*Money{
			"input": above.Input, "cache_read": above.CacheRead, "cache_write": above.CacheWrite,
			"cache_write_1h": above.CacheWrite1h, "output": above.Output,
		} {
			checkPrice(at+"."+name, amount, wrong)
		}
	}
}

// checkPrice: a price of one token is whole picodollars.
func checkPrice(key string, amount *Money, wrong report) {
	if amount != nil && *amount%1_000_000 != 0 {
		wrong(key, "must have at most 6 digits after the point: it is dollars for a million tokens")
	}
}

func (a Artifacts) check(key string, wrong report) {
	if a.S3 == (S3{}) {
		return
	}
	if a.Dir != "" {
		wrong(key+".dir", "must not be given beside s3: files go to one place")
	}
	if problem := problemOfURL(a.S3.Endpoint); problem != "" {
		wrong(key+".s3.endpoint", strings.ReplaceAll(problem, "api.openai.com/v1", "s3.eu-central-1.amazonaws.com"))
	}
	if a.S3.Bucket == "" {
		wrong(key+".s3.bucket", "must be given")
	}
	if a.S3.AccessKey.IsZero() != a.S3.SecretKey.IsZero() {
		wrong(key+".s3.secret_key", "access_key and secret_key must be given both, or neither")
	}
}
