package processor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/kafka"
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
		"returned no handler": {{Mode: "shop", Name: "orders", Execute: nothing,
			Middleware: []processor.Middleware{func(processor.Handler) processor.Handler { return nil }}}},
		"multiplier 0.5": {{Mode: "shop", Name: "orders", Execute: nothing,
			Retry: &processor.RetryPolicy{Multiplier: 0.5}}},
		"must not be negative": {{Mode: "shop", Name: "orders", Execute: nothing,
			Retry: &processor.RetryPolicy{Backoff: -1}}},
	} {
		if _, err := processor.NewRegistry(services...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestRetryPolicyOfAService(t *testing.T) {
	policy := &processor.RetryPolicy{MaxAttempts: 7}
	registry, err := processor.NewRegistry(processor.Service{Mode: "shop", Name: "orders", Execute: nothing,
		Retry: policy})
	if err != nil {
		t.Fatal(err)
	}
	if got := registry.With().RetryPolicy(&schemas.Task{Mode: "shop", Service: "orders"}); got == policy ||
		*got != *policy {
		t.Errorf("got %v", got)
	}
	if got := registry.RetryPolicy(&schemas.Task{Mode: "shop", Service: "other"}); got != nil {
		t.Errorf("an unknown service has %v", got)
	}
}

// TestAttemptsOfATask: what a service says of one of its tasks is in the place of what it says of all, and leaves the
// rest as it is.
func TestAttemptsOfATask(t *testing.T) {
	service := processor.Service{Mode: "m", Name: "s", Execute: nothing,
		Schemas: map[string]processor.TaskSchema{"patient": {MaxAttempts: 9}, "plain": {}}}
	bare, err := processor.NewRegistry(service)
	if err != nil {
		t.Fatal(err)
	}
	service.Retry = &processor.RetryPolicy{MaxAttempts: 2, Backoff: time.Second}
	registry, err := processor.NewRegistry(service)
	if err != nil {
		t.Fatal(err)
	}
	of := func(r *processor.Registry, name string) *processor.RetryPolicy {
		return r.RetryPolicy(&schemas.Task{Mode: "m", Service: "s", TaskName: name})
	}
	if got := of(registry, "patient"); *got != (processor.RetryPolicy{MaxAttempts: 9, Backoff: time.Second}) {
		t.Errorf("got %+v", got)
	}
	if got := of(registry, "plain"); *got != *service.Retry {
		t.Errorf("a task that says nothing has %+v", got)
	}
	if got := of(bare, "patient"); *got != (processor.RetryPolicy{MaxAttempts: 9}) {
		t.Errorf("without a policy of the service: %+v", got)
	}
	if got := of(bare, "plain"); got != nil {
		t.Errorf("without either: %+v", got)
	}
	service.Schemas = map[string]processor.TaskSchema{"patient": {MaxAttempts: -1}}
	if _, err := processor.NewRegistry(service); err == nil || !strings.Contains(err.Error(), "must not be negative") {
		t.Errorf("a negative number is answered with %v", err)
	}
}

// TestWarningsOfServices: all of them, those that several say once.
func TestWarningsOfServices(t *testing.T) {
	service := func(name string, says ...string) processor.Service {
		return processor.Service{Mode: "m", Name: name, Execute: nothing, Warnings: func() []string { return says }}
	}
	registry, err := processor.NewRegistry(service("a", "not shared", "late"), service("b", "not shared"),
		processor.Service{Mode: "m", Name: "c", Execute: nothing})
	if err != nil {
		t.Fatal(err)
	}
	p, err := processor.New(processor.Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}, Registry: registry,
		WorkerID: "w", Lanes: []processor.Lane{{Name: "fast", Slots: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Warnings(); !slices.Equal(got, []string{"late", "not shared"}) {
		t.Errorf("got %q", got)
	}
}
