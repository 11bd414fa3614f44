package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// fault is one row of the table: something that is done to the installation and
// how it is told that it has taken effect.
type fault struct {
	name     string
	does     string
	evidence string // what a hit is
	// exact faults lose no process without notice: work is executed once.
	exact bool
	// needs says what the fault cannot do without, "" if nothing is missing.
	needs func(*config) string
	// run does it and undoes it, and counts the evidence.
	run func(context.Context, *arena, *rand.Rand) (hits int, err error)
	// apart is run for a fault that needs an installation of its own. Tasks from
	// before it have to end if it is lossless.
	apart    func(context.Context, *site) (hits int, err error)
	lossless bool
}

// faults are all there are.
func faults() []fault {
	return slices.Concat(processFaults(), brokerFaults(), connectionFaults(), journalFaults(), taskFaults(), logFaults())
}

// choose are the faults of that name, all that are possible if none is named.
func choose(c *config, names string) ([]fault, error) {
	var chosen []fault
	known := map[string]fault{}
	for _, f := range faults() {
		known[f.name] = f
		if names == "" && (f.needs == nil || f.needs(c) == "") {
			chosen = append(chosen, f)
		}
	}
	for name := range strings.SplitSeq(names, ",") {
		if names == "" {
			break
		}
		f, ok := known[strings.TrimSpace(name)]
		if !ok {
			return nil, fmt.Errorf("there is no fault %q; -list shows them", name)
		}
		if f.needs != nil && f.needs(c) != "" {
			return nil, fmt.Errorf("fault %s needs %s", f.name, f.needs(c))
		}
		chosen = append(chosen, f)
	}
	return chosen, nil
}

// split tells the faults of the arena from those that need an installation of
// their own.
func split(chosen []fault) (inArena, apart []fault) {
	for _, f := range chosen {
		if f.apart != nil {
			apart = append(apart, f)
		} else {
			inArena = append(inArena, f)
		}
	}
	return inArena, apart
}

// plan is the order of the faults: rounds of all of them, each shuffled.
type plan struct {
	random *rand.Rand
	faults []fault
	round  []fault
}

func newPlan(seed uint64, chosen []fault) *plan {
	return &plan{random: rand.New(rand.NewPCG(seed, 0)), faults: chosen}
}

// next is the next fault and the randomness for its parameters, which depends
// on nothing but the seed and the place in the plan.
func (p *plan) next() (fault, *rand.Rand) {
	if len(p.round) == 0 {
		p.round = slices.Clone(p.faults)
		p.random.Shuffle(len(p.round), func(i, j int) { p.round[i], p.round[j] = p.round[j], p.round[i] })
	}
	f := p.round[0]
	p.round = p.round[1:]
	return f, rand.New(rand.NewPCG(p.random.Uint64(), 3))
}
