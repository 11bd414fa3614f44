package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aiecs/tasklane/scripts/program"
)

// outcome is what the whole run came to.
type outcome struct {
	verdict
	history  *history
	watchers int // whose log is not as it must be
	byVia    map[string]int
}

// maxStill is how long nothing may come to anybody while something is missing.
const maxStill = 30 * time.Second

// settle waits until every task has ended and every client has what it should,
// or nothing comes any more, and gives the verdict.
func (a *arena) settle(ctx context.Context) (*outcome, error) {
	last, got := time.Now(), 0
	for {
		h, err := readHistory(ctx, a.brokerAddr)
		if err != nil {
			return nil, err
		}
		open := a.load.open(h)
		o := a.reconcile(h)
		if open == 0 && o.missing == 0 {
			break
		}
		if o.got > got {
			last, got = time.Now(), o.got
		}
		if time.Since(last) > maxStill {
			if open > 0 {
				a.note("%d tasks have no end", open)
			}
			return o, nil
		}
		program.Pause(ctx, 2*time.Second)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	program.Pause(ctx, 2*time.Second) // what should not come may come late
	h, err := readHistory(ctx, a.brokerAddr)
	if err != nil {
		return nil, err
	}
	return a.reconcile(h), nil
}

// reconcile compares every client's log with the history.
func (a *arena) reconcile(h *history) *outcome {
	o := &outcome{history: h, byVia: map[string]int{}}
	for _, w := range a.watchers {
		w.mu.Lock()
		log := w.log[:len(w.log):len(w.log)]
		w.mu.Unlock()
		v := reconcile(a.seed, log, w.expected(h))
		for i := range v.examples {
			v.examples[i] = fmt.Sprintf("%s by %s: %s", w.name, w.via, v.examples[i])
		}
		if v.wrong() > 0 {
			o.watchers++
		}
		o.byVia[w.via] += v.got
		o.add(v)
	}
	return o
}

// expected are the events that the client has to get.
func (w *watcher) expected(h *history) []fact {
	all := h.users[w.user]
	if w.task == "" && w.from.IsZero() {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(f fact) bool {
		return w.task != "" && f.TaskID != w.task || f.time.Before(w.from)
	})
}

// report prints what happened and returns how many things are wrong.
func (a *arena) report(o *outcome) (wrong int) {
	accepted, _ := a.load.counts()
	fmt.Printf("\nlog: %d tasks, %d events that count, %d records that do not\n", accepted, o.history.events,
		o.history.stale)
	fmt.Printf("clients: %d, of which %d are not as they must be; notifier at most %d MiB\n", len(a.watchers), o.watchers,
		a.peak>>20)
	for _, via := range a.config.vias {
		fmt.Printf("  by %-6s %9d messages\n", via, o.byVia[via])
	}
	fmt.Printf("messages %d, output merged %d, progress superseded %d\n", o.got, o.merged, o.superseded)
	fmt.Printf("missing %d, twice %d, out of order %d, foreign %d, garbled %d\n", o.missing, o.twice, o.disordered,
		o.foreign, o.garbled)
	for n, text := range o.examples {
		if n == 20 {
			fmt.Printf("  and %d more\n", len(o.examples)-n)
			break
		}
		fmt.Println("  ", text)
	}
	wrong = o.wrong() + len(a.problems)
	for _, w := range a.watchers {
		for _, problem := range w.problems {
			if wrong++; wrong < 50 {
				fmt.Printf("   %s by %s: %s\n", w.name, w.via, problem)
			}
		}
	}
	for _, name := range faultNames() {
		r := a.results[name]
		if r == nil {
			continue
		}
		fmt.Printf("%-14s %2d times, %6d hits (%s)\n", name, r.rounds, r.hits, faults()[name].hit)
		if r.hits == 0 {
			fmt.Printf("   %v\n", fmt.Errorf("%s: %w", name, errNeverHit))
			wrong++
		}
	}
	return wrong
}

var errNeverHit = errors.New("the fault never took effect")
