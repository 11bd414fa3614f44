package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// FlowConfig is what a flow is made of. The zero value limits nothing.
type FlowConfig struct {
	// Providers are those that there are, for fallbacks from one to another.
	Providers []Provider
	// Settings are by provider; of each only the default model and the breaker are used.
	Settings map[string]config.Provider
	Models   map[string]config.Model
	Limits   []config.Limit
	Budgets  []config.Budget
	Prices   map[string]config.Price
	Cache    config.Cache
	// Logger is slog.Default if nil.
	Logger *slog.Logger
}

// Flow is how requests get to providers: which model is asked, what it costs, when there is room for another request,
// and what is tried when one fails. All services of a process share one.
type Flow struct {
	providers map[string]Provider
	settings  map[string]config.Provider
	models    map[string]config.Model
	breakers  map[string]*gobreaker.CircuitBreaker[Result]
	limits    *limits
	budgets   *budgets
	prices    *Prices
	estimates *estimator
	cache     *cache
	log       *slog.Logger
	meter     *meter
	sharing   atomic.Bool             // with other instances
	meteredBy atomic.Pointer[service] // the first of its services
	unshared  atomic.Bool             // what others want and have spent is not known now
}

// warnings say that limits and budgets cannot be shared now.
func (f *Flow) warnings() []string {
	if !f.unshared.Load() {
		return nil
	}
	return []string{"limits and budgets of AI providers cannot be shared: what other processors use has not been read " +
		"from task-limits for 2 s, and tasks with a limit or budget wait until it is"}
}

// limited reports whether there is anything to share with other instances.
func (f *Flow) limited() bool { return len(f.limits.rules)+len(f.budgets.rules) > 0 }

// Defaults of the breaker, and of the most that a model answers.
const (
	breakerFailures  = 10
	breakerPause     = 10 * time.Second
	defaultMaxOutput = 4096
)

// NewFlow checks the configuration. A limit of a model that nobody knows is refused: it would never be kept.
func NewFlow(c FlowConfig) (*Flow, error) {
	prices, err := NewPrices(c.Prices)
	if err != nil {
		return nil, err
	}
	f := &Flow{
		providers: map[string]Provider{}, settings: c.Settings, models: c.Models,
		breakers: map[string]*gobreaker.CircuitBreaker[Result]{}, limits: newLimits(c.Limits), prices: prices,
		meter: newMeter(), estimates: newEstimator(), cache: newCache(c.Cache), log: cmp.Or(c.Logger, slog.Default()),
	}
	for _, p := range c.Providers {
		f.add(p.Name(), p)
	}
	if err := checkLimits(c.Limits, f.knows); err != nil {
		return nil, fmt.Errorf("set up limits: %w", err)
	}
	if f.budgets, err = newBudgets(c.Budgets); err != nil {
		return nil, fmt.Errorf("set up budgets: %w", err)
	}
	f.limits.shadow, f.budgets.shadow = f.meter.shadow, f.meter.shadow
	for name, m := range c.Models {
		for _, to := range m.Fallback {
			if _, ok := f.find(m.Provider, to); !ok {
				return nil, fmt.Errorf("set up models: the fallback %q of %s is neither a name under models nor "+
					"provider/model", to, name)
			}
		}
	}
	return f, nil
}

// add makes a provider known by a name, with a breaker of its own.
func (f *Flow) add(name string, p Provider) {
	f.providers[name] = p
	failures := uint32(breakerFailures)
	if n := f.settings[name].Breaker.Failures; n > 0 {
		failures = uint32(n)
	}
	f.breakers[name] = gobreaker.NewCircuitBreaker[Result](gobreaker.Settings{
		Name: name, Timeout: cmp.Or(f.settings[name].Breaker.Pause, breakerPause),
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failures },
		// What says nothing of the provider: that the task was stopped, or is not allowed to ask. A request that it
		// refuses says that it works.
		IsExcluded:   func(err error) bool { var e *Error; return err != nil && !errors.As(err, &e) },
		IsSuccessful: func(err error) bool { return !tripping(err) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			f.log.Warn("the circuit breaker of a provider changed", "provider", name, "from", from.String(), "to", to.String())
		},
	})
}

// tripping reports whether an error speaks for leaving the provider alone. A refused key does not: tasks should fail
// with that, and not wait.
func tripping(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Fails() && e.Kind != Auth
}

// knows reports whether a model of a provider is known by the settings or the price list. A server of one's own may
// have any.
func (f *Flow) knows(t target) bool {
	if f.prices.known(t) || f.settings[t.provider].BaseURL != "" || f.settings[t.provider].DefaultModel == t.model {
		return true
	}
	for name, m := range f.models {
		if m.Provider == t.provider && cmp.Or(m.Model, name) == t.model {
			return true
		}
	}
	return false
}

// find is what a model's name stands for: a name under models, "provider/model", or a model of a provider.
func (f *Flow) find(provider, name string) (target, bool) {
	if m, ok := f.models[name]; ok {
		return target{cmp.Or(m.Provider, provider), cmp.Or(m.Model, name)}, true
	}
	if to, model, ok := strings.Cut(name, "/"); ok && f.providers[to] != nil {
		return target{to, model}, true
	}
	return target{provider, name}, false
}

// route are the models that a request goes to in turn. All but the first are its fallbacks.
func (f *Flow) route(provider, model string) []target {
	model = cmp.Or(model, f.settings[provider].DefaultModel)
	first, _ := f.find(provider, model)
	route := []target{first}
	for _, name := range f.models[model].Fallback {
		if to, _ := f.find(first.provider, name); f.providers[to.provider] != nil {
			route = append(route, to)
		}
	}
	return route
}

// costOf is what is reserved for a request.
func (f *Flow) costOf(t target, user string, bytes int, images, maxOutput int64) cost {
	return cost{1, float64(f.estimates.tokens(t.model, bytes) + images), float64(f.outputOf(t, user, maxOutput))}
}

// outputOf is how much is reserved for an answer: the most that is asked for, else the model's most or a quarter of
// the limit, whichever is less.
func (f *Flow) outputOf(t target, user string, asked int64) int64 {
	most := cmp.Or(asked, f.maxOutput(t), defaultMaxOutput)
	if asked > 0 {
		return most
	}
	if otpm := f.limits.mostOutput(t, user, time.Now()); otpm > 0 {
		most = min(most, max(otpm/4, 1))
	}
	return most
}

func (f *Flow) maxOutput(t target) int64 {
	for name, m := range f.models {
		if m.MaxOutputTokens > 0 && m.Provider == t.provider && cmp.Or(m.Model, name) == t.model {
			return m.MaxOutputTokens
		}
	}
	return f.prices.maxOutput(t)
}

// admit lets a task of a provider's service start, or says what it waits for.
func (f *Flow) admit(provider string, task *schemas.Task) (processor.Grant, *processor.Wait) {
	now := time.Now()
	spends, wait := f.budgets.begin(task, now)
	if wait != nil {
		f.meter.held(wait.For)
		return nil, wait
	}
	ask := peek(task)
	key := schemas.TaskKey{UserID: task.UserID, TaskID: task.TaskID}
	var first *processor.Wait
	for _, t := range f.route(provider, ask.model) {
		if wait := f.broken(t, now); wait != nil {
			first = sooner(first, wait)
			continue
		}
		r, wait := f.limits.reserve(t, key, f.costOf(t, task.UserID, ask.bytes, 0, ask.maxOutput), now)
		if wait == nil {
			return &admission{r, spends}, nil
		}
		first = sooner(first, wait)
	}
	spends.end()
	f.meter.held(first.For)
	return nil, first
}

// admission is what a task was let in with.
type admission struct {
	reserved *reservation
	spends   *spender
}

// Release implements [processor.Grant].
func (a *admission) Release() {
	a.reserved.Release()
	a.spends.end()
}

func sooner(a, b *processor.Wait) *processor.Wait {
	if a == nil || b.Until.Before(a.Until) {
		return b
	}
	return a
}

// broken is the wait for a provider that is left alone, nil if it is not.
func (f *Flow) broken(t target, now time.Time) *processor.Wait {
	b := f.breakers[t.provider]
	if b == nil || b.State() != gobreaker.StateOpen {
		return nil
	}
	pause := cmp.Or(f.settings[t.provider].Breaker.Pause, breakerPause)
	return &processor.Wait{For: schemas.WaitLimit, Until: now.Add(min(pause, 5*time.Second)),
		Name: "breaker/" + t.provider, Reason: t.provider + " fails again and again, and is left alone for a while"}
}

// call asks one model, and settles what was reserved with what was used.
func (f *Flow) call(ctx context.Context, t target, r *reservation, ask func(Provider) (Result, error)) (Result, error) {
	p := f.providers[t.provider]
	if p == nil {
		return Result{}, &Error{Provider: t.provider, Kind: BadRequest, Code: "unknown_provider",
			Message: "no such provider is set up here"}
	}
	result, err := f.breakers[t.provider].Execute(func() (Result, error) { return ask(p) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return result, &waitError{f.brokenNow(t)}
	}
	f.meter.asked(t.provider, err, ctx.Err() != nil)
	if ctx.Err() != nil && err != nil {
		r.ended(nil, false, time.Now())
		return result, err
	}
	var e *Error
	errors.As(err, &e)
	r.ended(e, err == nil, time.Now())
	return result, err
}

func (f *Flow) brokenNow(t target) *processor.Wait {
	now := time.Now()
	if w := f.broken(t, now); w != nil {
		return w
	}
	return &processor.Wait{For: schemas.WaitLimit, Until: now.Add(probeWait), Name: "breaker/" + t.provider,
		Reason: "one request tries whether " + t.provider + " works again"}
}

// waitError says that a request has to wait.
type waitError struct{ wait *processor.Wait }

func (e *waitError) Error() string { return e.wait.Name + ": " + e.wait.Reason }

// snooze is the error by which the processor lets the task wait, without an attempt used up.
func (e *waitError) snooze() error {
	return &processor.SnoozeError{Until: e.wait.Until, Waits: e.wait}
}

// charge puts the cost to usage, settles the reservation with it and charges budgets. Usage of the provider's own that
// is missing has been estimated.
func (f *Flow) charge(t target, task *schemas.Task, r *reservation, u *schemas.Usage) {
	now := time.Now()
	if u == nil {
		r.settle(cost{requests: 1}, now)
		return
	}
	u.Provider = t.provider
	u.Model = cmp.Or(u.Model, t.model)
	if u.CostPicodollars == nil {
		u.CostPicodollars = f.prices.Cost(t.provider, u.Model, *u)
	}
	if u.CostPicodollars == nil && u.Model != t.model {
		u.CostPicodollars = f.prices.Cost(t.provider, t.model, *u)
	}
	f.meter.used(t.provider, u)
	r.settle(cost{1, float64(u.InputTokens), float64(u.OutputTokens)}, now)
	if u.CostPicodollars != nil {
		f.budgets.spend(task, *u.CostPicodollars, now)
	}
}
