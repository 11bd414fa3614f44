package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aiecs/tasklane/scripts/program"
)

// fault is something that happens to clients and servers.
type fault struct {
	name string
	// hit is what counts as one.
	hit string
	// run makes the fault and returns how often it took effect.
	run func(ctx context.Context, a *arena) (hits int, err error)
}

func faults() map[string]fault {
	all := map[string]fault{}
	for _, f := range []fault{
		{"notifier-kill", "clients that were connected", notifierKill},
		{"notifier-stop", "connections closed with 1001", notifierStop},
		{"broker-kill", "tasks whose acknowledgement came late", brokerKill},
		{"slow-readers", "connections closed with 4008", slowReaders},
		{"replay", "events replayed to clients of the long history", replay},
		{"move", "connections to another notifier than before", move},
	} {
		all[f.name] = f
	}
	return all
}

func faultNames() []string {
	var names []string
	for name := range faults() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// readPlan is the faults of the flag in an order that the seed decides.
func readPlan(text string, seed uint64) ([]string, error) {
	var plan []string
	for part := range strings.SplitSeq(text, ",") {
		name, times, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(times)
		if _, known := faults()[name]; !known || err != nil || n < 1 {
			return nil, fmt.Errorf("-faults %s: use name=times with %s", part, strings.Join(faultNames(), ", "))
		}
		plan = append(plan, slices.Repeat([]string{name}, n)...)
	}
	random := rand.New(rand.NewPCG(seed, 3))
	random.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	return plan, nil
}

// notifierKill ends a notifier as a power cut would. It comes back at once, or
// after a moment in which its clients find nobody.
func notifierKill(ctx context.Context, a *arena) (int, error) {
	n := a.random.IntN(len(a.notifiers))
	hit := 0
	for _, w := range a.watchers {
		if w.isAt(a.addresses[n]) {
			hit++
		}
	}
	a.notifiers[n].kill()
	if a.random.IntN(2) == 0 {
		program.Pause(ctx, time.Duration(a.random.IntN(1500))*time.Millisecond)
	}
	return hit, a.notifiers[n].start(ctx)
}

// notifierStop ends a notifier in order and starts it again.
func notifierStop(ctx context.Context, a *arena) (int, error) {
	before := a.closedWith(1001)
	p := a.notifiers[a.random.IntN(len(a.notifiers))]
	err := p.stop()
	return a.closedWith(1001) - before, errors.Join(err, p.start(ctx))
}

func (a *arena) closedWith(code int) (n int) {
	for _, w := range a.watchers {
		n += w.closedWith(code)
	}
	return n
}

// brokerKill ends the broker as a power cut would and starts it on its data.
func brokerKill(ctx context.Context, a *arena) (int, error) {
	_, before := a.load.counts()
	a.broker.kill()
	program.Pause(ctx, time.Duration(1000+a.random.IntN(1500))*time.Millisecond)
	if err := a.broker.start(ctx); err != nil {
		return 0, err
	}
	late := func() int { _, n := a.load.counts(); return n - before }
	program.Until(ctx, 20*time.Second, func() bool { return late() > 0 })
	return late(), nil
}

// slowReaders stops some clients' reading while large events come, until their
// notifiers have closed them, and lets them go on.
func slowReaders(ctx context.Context, a *arena) (int, error) {
	var resumes []func()
	for _, w := range a.slow {
		resumes = append(resumes, w.stall())
	}
	defer func() {
		for _, resume := range resumes {
			resume()
		}
	}()
	before, err := a.closedSlow(ctx)
	if err != nil {
		return 0, err
	}
	hits := 0
	for round := 0; round < 8 && hits < len(a.slow)/2 && ctx.Err() == nil; round++ {
		for _, t := range flood(floodUser, a.random.Int(), 300) {
			a.load.send(ctx, a.random, t)
		}
		program.Until(ctx, 5*time.Second, func() bool {
			var now int
			now, err = a.closedSlow(ctx)
			hits = now - before
			return err == nil && hits >= len(a.slow)/2
		})
	}
	return hits, err
}

// closedSlow is how many slow clients the notifiers have closed, by their own
// count: a client that does not read does not hear of it.
func (a *arena) closedSlow(ctx context.Context) (total int, err error) {
	for _, address := range a.addresses {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
		if err != nil {
			return 0, fmt.Errorf("read metrics: %w", err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, fmt.Errorf("read metrics: %w", err)
		}
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), " ")
			if strings.HasPrefix(name, "tasklane_notifier_closed_total{") && strings.Contains(name, `code="4008"`) {
				n, _ := strconv.Atoi(value)
				total += n
			}
		}
		_ = response.Body.Close()
	}
	return total, nil
}

// replay lets clients read the long history from its start and kills their
// notifier in the middle.
func replay(ctx context.Context, a *arena) (int, error) {
	first := len(a.watchers)
	for n := range a.config.replayers {
		w := a.watch(fmt.Sprint("replayer-", first+n), n, wish{user: historyUser, since: "earliest"})
		a.replayers = append(a.replayers, w)
	}
	got := func() (least int) {
		least = a.config.history
		for _, w := range a.watchers[first:] {
			_, _, n := w.state()
			least = min(least, n)
		}
		return least
	}
	program.Until(ctx, time.Minute, func() bool { return got() > 1000 })
	if _, err := notifierKill(ctx, a); err != nil {
		return 0, err
	}
	if !program.Until(ctx, 3*time.Minute, func() bool { return got() >= a.config.history }) {
		return 0, fmt.Errorf("the slowest client has %d of %d events after three minutes", got(), a.config.history)
	}
	hits := 0
	for _, w := range a.watchers[first:] {
		_, _, n := w.state()
		hits += n
	}
	return hits, nil
}

// move breaks the connections of a third of the clients: they come back to a
// notifier of their choice.
func move(ctx context.Context, a *arena) (int, error) {
	moves := func() (n int) {
		for _, w := range a.watchers {
			_, moved, _ := w.state()
			n += moved
		}
		return n
	}
	before := moves()
	for _, w := range a.watchers {
		if a.random.IntN(3) == 0 {
			w.leave()
		}
	}
	program.Until(ctx, 10*time.Second, func() bool { return moves() > before })
	program.Pause(ctx, time.Second)
	return moves() - before, nil
}
