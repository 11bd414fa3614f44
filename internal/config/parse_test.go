package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/internal/config"
)

const whole = `
services:
  chat/openai: {slots: 2, soft_time_limit: 90s, time_limit: 2m, heartbeat_limit: 30s}
  debug/echo:
    enabled: false
  chat/local:
    retry: {max_attempts: 5, backoff: 500ms, max_backoff: 1m, multiplier: 1.5}
providers:
  openai:
    api_key: env:OPENAI_API_KEY
    organization: org-1
    default_model: gpt-5-mini
    breaker: {failures: 5, pause: 30s}
  local:
    type: openai
    base_url: http://127.0.0.1:11434/v1
    api: chat_completions
    api_key: file:/run/secrets/local
    headers:
      X-Team: "42"
    connect_timeout: 5s
    idle_timeout: 1m30s
  vertex: {project: my-project, location: europe-west4}
models:
  small: {provider: openai, model: gpt-5-mini, fallback: [large, local/llama], max_output_tokens: 4096}
  large: {provider: local, hedge_after: 2s}
  helper: {service: chat/assistant}
limits:
  - {provider: openai, models: [gpt-5, gpt-5-mini], rpm: 600, itpm: 90_000, otpm: 30000}
  - provider: local
    user: '*'
    rpm: 10
    shadow: true
budgets:
  - usd_per_day: 12.50
    user: "*"
  - {label: team=search, usd_per_day: 0.000000000001}
prices:
  local/llama: {input: 0, output: 0}
  openai/gpt-5:
    input: 1.25
    cache_read: 0.125
    cache_write: 1.25
    cache_write_1h: 2
    output: 10.000001
    above: [{tokens: 200000, input: 2.5, output: 15}]
cache: {max_bytes: 64MiB, max_ttl: 24h}
artifacts:
  max_file_bytes: 100MB
  max_user_bytes: 1GiB
  max_bytes: 5000
  expire_after: 168h
  s3:
    endpoint: https://s3.example.com
    region: eu
    bucket: files
    prefix: tasklane/
    access_key: AKIA
    secret_key: |
      very secret
    path_style: true
`

func parse(t *testing.T, text string) *config.Settings {
	t.Helper()
	settings, err := config.Parse("tasklane.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return settings
}

// equal compares secrets by what they show: the others are the test's own.
var equal = cmp.Transformer("secret", func(s config.Secret) string { return s.String() })

func TestEveryKeyIsRead(t *testing.T) {
	got := parse(t, strings.Replace(whole, "|\n      very secret", "very secret", 1))
	no, usd := false, func(micros int64) *config.Money { m := config.Money(micros * 1_000_000); return &m }
	want := &config.Settings{
		Services: map[string]config.Service{
			"chat/openai": {Slots: 2, SoftTimeLimit: 90 * time.Second, TimeLimit: 2 * time.Minute,
				HeartbeatLimit: 30 * time.Second},
			"debug/echo": {Enabled: &no},
			"chat/local": {Retry: config.Retry{MaxAttempts: 5, Backoff: 500 * time.Millisecond, MaxBackoff: time.Minute,
				Multiplier: 1.5}},
		},
		Providers: map[string]config.Provider{
			"openai": {APIKey: config.SecretOf("env:OPENAI_API_KEY"), Organization: "org-1", DefaultModel: "gpt-5-mini",
				Breaker: config.Breaker{Failures: 5, Pause: 30 * time.Second}},
			"local": {Type: "openai", BaseURL: "http://127.0.0.1:11434/v1", API: "chat_completions",
				APIKey:         config.SecretOf("file:/run/secrets/local"),
				Headers:        map[string]config.Secret{"X-Team": config.SecretOf("42")},
				ConnectTimeout: 5 * time.Second, IdleTimeout: 90 * time.Second},
			"vertex": {Project: "my-project", Location: "europe-west4"},
		},
		Models: map[string]config.Model{
			"small": {Provider: "openai", Model: "gpt-5-mini",
				Fallback: []string{"large", "local/llama"}, MaxOutputTokens: 4096},
			"large":  {Provider: "local", HedgeAfter: 2 * time.Second},
			"helper": {Service: "chat/assistant"},
		},
		Limits: []config.Limit{
			{Provider: "openai", Models: []string{"gpt-5", "gpt-5-mini"}, RPM: 600, ITPM: 90_000, OTPM: 30_000},
			{Provider: "local", User: "*", RPM: 10, Shadow: true},
		},
		Budgets: []config.Budget{
			{User: "*", USDPerDay: 12_500_000_000_000},
			{Label: "team=search", USDPerDay: 1},
		},
		Prices: map[string]config.Price{
			"local/llama": {Input: usd(0), Output: usd(0)},
			"openai/gpt-5": {Input: usd(1_250_000), CacheRead: usd(125_000), CacheWrite: usd(1_250_000),
				CacheWrite1h: usd(2_000_000), Output: usd(10_000_001),
				Above: []config.PriceAbove{{Tokens: 200_000, Input: usd(2_500_000), Output: usd(15_000_000)}}},
		},
		Cache: config.Cache{MaxBytes: 64 << 20, MaxTTL: 24 * time.Hour},
		Artifacts: config.Artifacts{MaxFileBytes: 100_000_000, MaxUserBytes: 1 << 30, MaxBytes: 5000,
			ExpireAfter: 168 * time.Hour,
			S3: config.S3{Endpoint: "https://s3.example.com", Region: "eu", Bucket: "files", Prefix: "tasklane/",
				AccessKey: config.SecretOf("AKIA"), SecretKey: config.SecretOf("very secret"), PathStyle: true}},
	}
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Error(diff)
	}
	if secret, err := got.Artifacts.S3.SecretKey.Resolve(nil); err != nil || secret != "very secret" {
		t.Errorf("the secret is %q, %v", secret, err)
	}
}

func TestNothingIsNothing(t *testing.T) {
	for _, text := range []string{"", "\n", "# a comment\n", "---\n", "providers:\n", "limits: []\nproviders: {}\n"} {
		if diff := cmp.Diff(&config.Settings{}, parse(t, text), equal); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// TestWrongSettings: every refusal names the place, the key, and what to write instead.
func TestWrongSettings(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"provider: {}\n", `f.yaml:1:1: provider: the key is not known; did you mean providers?`},
		{"xylophone: 1\n", `f.yaml:1:1: xylophone: the key is not known; there are artifacts, budgets, cache`},
		{"providers:\n  openai:\n    base_ulr: x\n",
			`f.yaml:3:5: providers.openai.base_ulr: the key is not known; did you mean base_url?`},
		{"providers: {openai: {api_key: 12}}\n", `f.yaml:1:31: providers.openai.api_key: must be a text; put the number in`},
		{"providers: {openai: {api_key: [a]}}\n", `1:31: providers.openai.api_key: must be a text, not a list`},
		{"providers: {openai: {api_key: 'env:'}}\n", `must name a variable after env:, for example env:OPENAI_API_KEY`},
		{"providers: {openai: {api_key: 'env:A-B'}}\n", `must name a variable after env:`},
		{"providers: {openai: {api_key: 'file:'}}\n", `must name a file after file:`},
		{"providers: {openai: {api_key: \"a\\nb\"}}\n", `must be one line`},
		{"providers: {openai: []}\n", `1:21: providers.openai: must be a mapping of keys to values, not a list`},
		{"providers: {local: {base_url: 'http://x/v1'}}\n",
			`1:13: providers.local.type: "local" is not known; there are openai`},
		{"providers: {x: {type: antropic}}\n", `providers.x.type: "antropic" is not known; did you mean anthropic?`},
		{"providers: {OpenAI: {type: openai}}\n", `1:13: providers.OpenAI: must be a name of a-z`},
		{"providers: {openai: {base_url: 'api.openai.com'}}\n", `must be a URL, for example https://api.openai.com/v1`},
		{"providers: {openai: {base_url: 'https://u:hunter2@x/v1'}}\n", `must not hold a user or password`},
		{"providers: {openai: {base_url: 'https://x/v1?key=hunter2'}}\n", `must end with its path`},
		{"providers: {openai: {api: completions}}\n", `"completions" is not known; did you mean chat_completions?`},
		{"providers: {vertex: {location: eu}}\n", `providers.vertex.project: must be given`},
		{"providers: {openai: {headers: {'a b': x}}}\n", `providers.openai.headers.a b: must be the name of an HTTP header`},
		{"providers: {openai: {idle_timeout: 30}}\n", `1:36: providers.openai.idle_timeout: must be a duration with a unit`},
		{"providers: {openai: {idle_timeout: -3s}}\n", `must not be negative`},
		{"services: {openai: {slots: 1}}\n", `1:12: services.openai: must be mode/name, for example chat/openai`},
		{"services: {a/b: {slots: -1}}\n", `1:25: services.a/b.slots: must be a whole number of 0 or more`},
		{"services: {a/b: {slots: many}}\n", `services.a/b.slots: must be a whole number`},
		{"services: {a/b: {enabled: yes please}}\n", `services.a/b.enabled: must be true or false, not a text`},
		{"services: {a/b: {soft_time_limit: 2m, time_limit: 1m}}\n", `soft_time_limit: must not be longer than time_limit`},
		{"services: {a/b: {retry: {multiplier: 0.5}}}\n", `retry.multiplier: must be a number from 1 to 100`},
		{"services: {a/b: {retry: {backoff: 2m, max_backoff: 1m}}}\n", `retry.backoff: must not be longer than max_backoff`},
		{"services: {a/b: {time_limit: 1ns}}\n", `time_limit: must be whole milliseconds`},
		{"models: {a: {}}\n", `1:10: models.a.provider: must be given, or a service`},
		{"models: {a: {provider: p, fallback: [b]}}\n", `1:38: models.a.fallback[0]: "b" is not known`},
		{"models: {a: {provider: p, fallback: [b]}, b: {provider: p, fallback: [a]}}\n",
			`models.a.fallback[0]: leads back to a; let the chain end`},
		{"models: {a: {provider: p, fallback: [a]}}\n", `leads back to a`},
		{"models: {a: {service: chat}}\n", `models.a.service: must be mode/name`},
		{"limits: [{provider: openai}]\n", `limits[0]: limits nothing; give rpm, itpm or otpm`},
		{"limits: [{rpm: 1}]\n", `limits[0].provider: must be the name of a provider`},
		{"limits:\n  - {provider: p, rpm: 1}\n  - {provider: p, rpm: 1, models: ['*', a]}\n",
			`f.yaml:3:36: limits[1].models[0]: * is all models; leave the others out`},
		{"limits: [{provider: p, rpm: 1, models: [a, a]}]\n", `limits[0].models[1]: is given twice`},
		{"limits: {provider: p}\n", `f.yaml:1:9: limits: must be a list, not a mapping`},
		{"budgets: [{user: a}]\n", `budgets[0].usd_per_day: must be more than 0; to refuse tasks pause the service`},
		{"budgets: [{usd_per_day: $5}]\n", `budgets[0].usd_per_day: must be dollars as a decimal`},
		{"budgets: [{usd_per_day: -5}]\n", `must be dollars as a decimal`},
		{"budgets: [{usd_per_day: 1e9}]\n", `must be dollars as a decimal`},
		{"budgets: [{usd_per_day: 1000000.5}]\n", `must be at most 1000000 dollars`},
		{"budgets: [{usd_per_day: 5, label: team=}]\n", `budgets[0].label: must be name=value`},
		{"prices: {gpt-5: {input: 1}}\n", `1:10: prices.gpt-5: must be provider/model, for example openai/gpt-5`},
		{"prices: {a/b: {}}\n", `prices.a/b: must give input or output`},
		{"prices: {a/b: {input: 0.0000001}}\n", `prices.a/b.input: must have at most 6 digits after the point`},
		{"prices: {a/b: {input: 1, above: [{tokens: 5}, {tokens: 5}]}}\n", `above[1].tokens: must be more than 0, and more`},
		{"cache: {max_bytes: 64 megabytes}\n", `cache.max_bytes: must be a size, for example 64MiB`},
		{"cache: {max_bytes: 100000000000000000TiB}\n", `cache.max_bytes: must be a size that fits on a disk`},
		{"artifacts: {dir: a, s3: {endpoint: 'https://x', bucket: b}}\n", `artifacts.dir: must not be given beside s3`},
		{"artifacts: {s3: {endpoint: s3.example.com, bucket: b}}\n", `s3.endpoint: must be a URL, for example https://s3.eu`},
		{"artifacts: {s3: {endpoint: 'https://x'}}\n", `artifacts.s3.bucket: must be given`},
		{"artifacts: {s3: {endpoint: 'https://x', bucket: b, access_key: a}}\n", `must be given both, or neither`},
		{"cache: &c {}\n", `cache: anchors, aliases and tags are not read`},
		{"cache: !!map {}\n", `cache: anchors, aliases and tags are not read`},
		{"cache: {}\ncache: {}\n", `already defined`},
		{"cache: {}\n---\ncache: {}\n", `a second document begins`},
		{"cache: {\n", `is no YAML`},
		{"- a\n", `f.yaml:1:1: must be a mapping of keys to values, not a list`},
		{"\x00", `has a byte 0`},
		{strings.Repeat("[", 1000), `nested too deeply`},
		{strings.Repeat("#", config.MaxFileBytes+1), `is longer than 1048576 bytes`},
	} {
		settings, err := config.Parse("f.yaml", []byte(c.text))
		var wrong *config.Error
		if !errors.As(err, &wrong) || settings != nil {
			t.Errorf("%.80q is taken: %+v, %v", c.text, settings, err)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80q:\n got %v\nwant %s", c.text, err, c.want)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error tells the secret: %v", c.text, err)
		}
	}
}

// TestAllThatIsWrongIsTold: in the order of the file, as many as can be read.
func TestAllThatIsWrongIsTold(t *testing.T) {
	_, err := config.Parse("f.yaml", []byte("budgets: [{usd_per_day: x}]\nlimit: 3\nproviders: {openai: {key: x}}\n"))
	var wrong *config.Error
	if !errors.As(err, &wrong) || len(wrong.Problems) != 3 {
		t.Fatalf("%v", err)
	}
	for i, p := range wrong.Problems {
		if p.Line != i+1 || p.File != "f.yaml" || p.Column == 0 {
			t.Errorf("%d: %+v", i, p)
		}
	}
	_, err = config.Parse("f.yaml", []byte(strings.Repeat("a: 1\n", 1)+"limits: ["+strings.Repeat("{a: 1}, ", 50)+"]"))
	if text := err.Error(); !strings.Contains(text, "and 31 more") || strings.Count(text, "\n") != 20 {
		t.Errorf("many are told as %s", text)
	}
}
