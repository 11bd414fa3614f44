package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// plan is what the parts of a group do, and when it is stopped from outside.
type plan struct {
	parts     []fakeRole
	unbuilt   int // the part that cannot be built, len(parts) for none
	stopAfter time.Duration
}

func drawPlan(t *rapid.T) plan {
	ms := func(most int, what string) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, what)) * time.Millisecond
	}
	p := plan{parts: make([]fakeRole, rapid.IntRange(1, 5).Draw(t, "parts")), stopAfter: ms(500, "stop after")}
	for i := range p.parts {
		one := fakeRole{name: fmt.Sprint("part-", i), readyAfter: ms(100, "ready after"), stopTakes: ms(100, "stop takes")}
		if rapid.IntRange(0, 3).Draw(t, "ends by itself") == 0 {
			one.lives = time.Millisecond + ms(300, "lives")
		}
		if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
			one.err = errors.New("disk full")
		}
		p.parts[i] = one
	}
	p.unbuilt = len(p.parts)
	if rapid.IntRange(0, 4).Draw(t, "one cannot be built") == 0 {
		p.unbuilt = rapid.IntRange(0, len(p.parts)-1).Draw(t, "which")
	}
	return p
}

// carryOut runs the plan's group in virtual time, and gives what happened.
func (p plan) carryOut(t *testing.T) (happened []string, err error) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		parts := make([]part, len(p.parts))
		for i := range p.parts {
			one := p.parts[i]
			parts[i] = one.part(j)
			if i == p.unbuilt {
				parts[i].build = func(context.Context) (role, error) { return nil, errors.New("cannot be built") }
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), p.stopAfter)
		defer cancel()
		err = newGroup(j, parts...).Run(ctx)
		happened = j.lines
	})
	return happened, err
}

// Whatever parts do, and whenever it is stopped: each part starts when those before it are
// ready, stops when those after it have ended, and none is left running.
func TestGroupsStartAndStopInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		happened, err := p.carryOut(t)
		at := func(i int, what string) int { return slices.Index(happened, fmt.Sprintf("part-%d %s", i, what)) }
		fail := func(format string, args ...any) {
			rt.Fatalf("%s\nerror %v\n  %s", fmt.Sprintf(format, args...), err, strings.Join(happened, "\n  "))
		}
		for i := range p.parts {
			built, runs, ended := at(i, "is built"), at(i, "runs"), at(i, "has ended")
			switch {
			case i > 0 && built >= 0 && (at(i-1, "is ready") < 0 || at(i-1, "is ready") > built):
				fail("part %d is built before the one before it is ready", i)
			case (runs >= 0) != (ended >= 0) || runs > ended:
				fail("part %d is left running", i)
			case i > p.unbuilt && built >= 0:
				fail("part %d comes after one that cannot be built", i)
			}
			for later := i + 1; later < len(p.parts) && ended >= 0; later++ {
				if other := at(later, "has ended"); other > ended && p.parts[i].lives == 0 {
					fail("part %d ends before part %d, which needs it", i, later)
				}
			}
		}
		trouble := p.unbuilt < len(p.parts) || slices.ContainsFunc(p.parts, func(f fakeRole) bool {
			return f.err != nil || f.lives > 0
		})
		if err != nil && !trouble {
			fail("an error without a reason")
		}
		ready := slices.Index(happened, "all are ready")
		if last := at(len(p.parts)-1, "is ready"); ready >= 0 && (last < 0 || last > ready) {
			fail("all are ready, and the last is not")
		}
	})
}
