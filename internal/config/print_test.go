package config_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/config"
)

// again prints settings and reads that.
func again(t interface{ Fatalf(string, ...any) }, settings *config.Settings) *config.Settings {
	printed := settings.Print()
	read, err := config.Parse("printed", printed)
	if err != nil {
		t.Fatalf("what is printed cannot be read: %v\n%s", err, printed)
	}
	return read
}

func TestPrintedSettingsAreReadAgain(t *testing.T) {
	settings := parse(t, strings.Replace(whole, "|\n      very secret", "very secret", 1))
	if diff := cmp.Diff(settings, again(t, settings), equal); diff != "" {
		t.Error(diff)
	}
	if printed := new(config.Settings).Print(); len(printed) > 0 {
		t.Errorf("nothing is printed as %q", printed)
	}
}

// TestSecretsAreNowhere: no form of printing tells a secret that stands in the file.
func TestSecretsAreNowhere(t *testing.T) {
	settings := parse(t, "providers: {openai: {api_key: canary-1, headers: {X: canary-2}}}\n"+
		"artifacts: {s3: {endpoint: 'https://x', bucket: b, access_key: canary-3, secret_key: canary-4}}\n")
	printed := settings.Print()
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "settings", settings, "key", settings.Providers["openai"].APIKey)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "settings", settings, "key", settings.Providers["openai"].APIKey)
	encoded, err := json.Marshal(settings.Providers["openai"].Headers)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(printed), log.String(), string(encoded), fmt.Sprintf("%v %+v %#v", settings, settings,
		settings), fmt.Sprintf("%v %+v %#v", *settings, *settings, *settings)}
	for _, text := range texts {
		if strings.Contains(text, "canary") {
			t.Errorf("a secret is told in %s", text)
		}
	}
	if _, err := again(t, settings).Providers["openai"].APIKey.Resolve(nil); err == nil ||
		!strings.Contains(err.Error(), "only stands for a secret") {
		t.Errorf("a hidden secret is used: %v", err)
	}
}

func draw[T any](t *rapid.T, g *rapid.Generator[T]) T { return g.Draw(t, "") }

// settingsOf draws settings that are right, with texts that YAML finds hard.
func settingsOf(t *rapid.T) *config.Settings {
	text := rapid.OneOf(rapid.StringMatching(`[a-z0-9:'"#&*!|>%@{}\[\],?-][ a-z0-9:'"#-]{0,10}`),
		rapid.SampledFrom([]string{"~", "null", "true", "no", "1", "0x1f", "1e3", ".inf", "<<", "-", "a: b", " a ", "é\u2028",
			"\t", "\U0001F600", "=", "2026-11-30", "a\\nb", "12:30:00"}))
	secret := rapid.Map(rapid.SampledFrom([]string{"", "env:A_KEY", "file:/a b", "<hidden>"}), config.SecretOf)
	duration := rapid.Map(rapid.IntRange(0, 100_000), func(ms int) time.Duration {
		return time.Duration(ms) * time.Millisecond
	})
	count := rapid.Int64Range(0, 1<<53)
	price := rapid.OneOf(rapid.Just[*config.Money](nil), rapid.Map(rapid.Int64Range(0, 1e12), func(n int64) *config.Money {
		m := config.Money(n * 1_000_000)
		return &m
	}))
	size := rapid.Map(rapid.Int64Range(0, 1<<62), func(n int64) config.Bytes { return config.Bytes(n) })
	provider, model := rapid.StringMatching(`[a-z0-9][a-z0-9_.-]{0,5}`), rapid.StringMatching(`[a-z0-9:/.~-]{1,10}`)
	s := &config.Settings{
		Services: draw(t, rapid.MapOfN(rapid.StringMatching(`[a-z:#'"]{1,5}/[a-z~]{1,5}`),
			rapid.Custom(func(t *rapid.T) config.Service {
				enabled := draw(t, rapid.Bool())
				service := config.Service{Slots: draw(t, rapid.IntRange(0, 9)), TimeLimit: draw(t, duration),
					Retry: config.Retry{MaxBackoff: draw(t, duration), Multiplier: draw(t, rapid.Float64Range(1, 100))}}
				if draw(t, rapid.Bool()) {
					service.Enabled = &enabled
				}
				return service
			}), 0, 3)),
		Providers: draw(t, rapid.MapOfN(provider, rapid.Custom(func(t *rapid.T) config.Provider {
			return config.Provider{Type: draw(t, rapid.SampledFrom([]string{"openai", "xai", "anthropic"})),
				BaseURL: draw(t, rapid.SampledFrom([]string{"", "http://[::1]:80/v1", "https://a.b"})), APIKey: draw(t, secret),
				Headers:      draw(t, rapid.MapOfN(rapid.StringMatching(`[A-Za-z0-9!#-]{1,5}`), secret, 0, 2)),
				Organization: draw(t, text), Location: draw(t, text), IdleTimeout: draw(t, duration)}
		}), 0, 3)),
		Models: draw(t, rapid.MapOfN(model, rapid.Custom(func(t *rapid.T) config.Model {
			return config.Model{Provider: draw(t, provider), Model: draw(t, model), MaxOutputTokens: draw(t, count),
				HedgeAfter: draw(t, duration)}
		}), 0, 3)),
		Limits: draw(t, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) config.Limit {
			return config.Limit{Provider: draw(t, provider), User: draw(t, text), RPM: draw(t, count) + 1, ITPM: draw(t, count),
				Models: draw(t, rapid.SliceOfNDistinct(model, 0, 3, rapid.ID)), Shadow: draw(t, rapid.Bool())}
		}), 0, 3)),
		Budgets: draw(t, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) config.Budget {
			return config.Budget{User: draw(t, text), USDPerDay: config.Money(draw(t, rapid.Int64Range(1, 1e18)))}
		}), 0, 3)),
		Prices: draw(t, rapid.MapOfN(rapid.StringMatching(`[a-z]{1,3}/[a-z0-9]{1,3}`),
			rapid.Custom(func(t *rapid.T) config.Price {
				m := config.Money(5_000_000)
				return config.Price{Input: &m, CacheRead: draw(t, price), Output: draw(t, price),
					Above: draw(t, rapid.SampledFrom([][]config.PriceAbove{nil, {{Tokens: 5, Input: &m}, {Tokens: 7}}}))}
			}), 0, 3)),
		Cache: config.Cache{MaxBytes: draw(t, size), MaxTTL: draw(t, duration)},
	}
	s.Artifacts = config.Artifacts{Dir: draw(t, text), MaxFileBytes: draw(t, size),
		MaxUserBytes: draw(t, size)}
	return s
}

// TestPrintAndParseAgree: whatever right settings are printed are read as the same.
func TestPrintAndParseAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		settings := settingsOf(t)
		printed := settings.Print()
		if diff := cmp.Diff(settings, again(t, settings), equal, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", diff, printed)
		}
	})
}
