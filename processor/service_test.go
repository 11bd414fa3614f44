package processor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

func nothing(context.Context, *processor.Context) (any, error) { return "done", nil }

func TestMiddlewareOrder(t *testing.T) {
	var calls []string
	noting := func(name string) processor.Middleware {
		return func(next processor.Handler) processor.Handler {
			return func(ctx context.Context, c *processor.Context) (any, error) {
				calls = append(calls, name)
				defer func() { calls = append(calls, "/"+name) }()
				return next(ctx, c)
			}
		}
	}
	inner, err := processor.NewRegistry(processor.Service{
		Mode: "shop", Name: "orders", Methods: map[string]processor.Handler{"place": nothing}, Execute: nothing,
		Middleware: []processor.Middleware{noting("c"), noting("d")},
	})
	if err != nil {
		t.Fatal(err)
	}
	registry := inner.With(noting("a"), noting("b"))
	for _, name := range []string{"place", "anything"} {
		calls = nil
		handler, err := registry.Lookup("shop", "orders", name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := handler(t.Context(), contextOf(`{}`, nil)); got != "done" || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		if want := []string{"a", "b", "c", "d", "/d", "/c", "/b", "/a"}; !slices.Equal(calls, want) {
			t.Errorf("%s: called %v", name, calls)
		}
	}
	calls = nil
	handler, _ := inner.Lookup("shop", "orders", "place")
	if _, err := handler(t.Context(), contextOf(`{}`, nil)); err != nil || len(calls) != 4 {
		t.Errorf("With changed the registry it was called on: %v, %v", calls, err)
	}
}

func TestPanicPassesThroughMiddleware(t *testing.T) {
	passed := false
	registry, err := processor.NewRegistry(processor.Service{
		Mode: "shop", Name: "orders",
		Execute: func(context.Context, *processor.Context) (any, error) { panic("out of tea") },
		Middleware: []processor.Middleware{func(next processor.Handler) processor.Handler {
			return func(ctx context.Context, c *processor.Context) (any, error) {
				defer func() { passed = true }()
				return next(ctx, c)
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	registry.Execute(t.Context(), contextOf(`{}`, nil), func(_ jsontext.Value, failed error) { err = failed })
	var panicked *processor.PanicError
	if !errors.As(err, &panicked) || panicked.Value != "out of tea" || !passed {
		t.Errorf("got %v, passed is %v", err, passed)
	}
}

func TestRegistryRefuses(t *testing.T) {
	good := processor.Service{Mode: "shop", Name: "orders", Execute: nothing}
	for want, services := range map[string][]processor.Service{
		"registered already":    {good, good},
		"neither methods":       {{Mode: "shop", Name: "orders"}},
		`mode ""`:               {{Name: "orders", Execute: nothing}},
		`method "place" is nil`: {{Mode: "shop", Name: "orders", Methods: map[string]processor.Handler{"place": nil}}},
		"middlewares is nil":    {{Mode: "shop", Name: "orders", Execute: nothing, Middleware: []processor.Middleware{nil}}},
		"multiplier 0.5":        {{Mode: "shop", Name: "orders", Execute: nothing, Retry: &processor.RetryPolicy{Multiplier: 0.5}}},
		"must not be negative":  {{Mode: "shop", Name: "orders", Execute: nothing, Retry: &processor.RetryPolicy{Backoff: -1}}},
	} {
		if _, err := processor.NewRegistry(services...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestRetryPolicyOfAService(t *testing.T) {
	policy := &processor.RetryPolicy{MaxAttempts: 7}
	registry, err := processor.NewRegistry(processor.Service{Mode: "shop", Name: "orders", Execute: nothing, Retry: policy})
	if err != nil {
		t.Fatal(err)
	}
	if got := registry.With().RetryPolicy(&schemas.Task{Mode: "shop", Service: "orders"}); got != policy {
		t.Errorf("got %v", got)
	}
	if got := registry.RetryPolicy(&schemas.Task{Mode: "shop", Service: "other"}); got != nil {
		t.Errorf("an unknown service has %v", got)
	}
}
