package taskview

import (
	"fmt"
	"testing"
	"time"
)

func TestPresence(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	p := newPresence(Config{})
	check := func(lane string, s, want int, wantKnown bool) {
		t.Helper()
		if n, known := p.count(lane, at(s)); n != want || known != wantKnown {
			t.Errorf("after %d s lane %s has %d, known %v; want %d, %v", s, lane, n, known, want, wantKnown)
		}
	}
	check("fast", 0, 0, false)
	p.note("fast", "long-gone", at(-3600), at(0)) // read of the past
	p.note("fast", "a", at(-2), at(0))
	check("fast", 0, 1, true)
	p.caughtUp(at(1))
	check("heavy", 10, 0, false) // its owner may give the first sign later
	check("heavy", 17, 0, true)
	for s := 5; s <= 60; s += 5 {
		p.note("fast", "a", at(s), at(s))
		p.note("fast", "b", at(min(s, 30)), at(min(s, 30)))
	}
	check("fast", 40, 2, true)
	check("fast", 61, 1, true) // b is silent
	check("fast", 80, 0, true)
}

// TestSilentBrokerSaysNothingOfWorkers: while nothing can be read no worker is heard, which does not mean that none is
// there; nor does it until all must have given a sign again.
func TestSilentBrokerSaysNothingOfWorkers(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	p := newPresence(Config{})
	p.silenced(at(-5)) // before the view had caught up: nothing is known anyway
	p.caughtUp(at(0))
	p.note("fast", "a", at(20), at(20))
	for s := 23; s <= 80; s++ {
		p.silenced(at(s))
		want := 0
		if s <= 35 {
			want = 1
		}
		if n, known := p.count("fast", at(s)); n != want || known != (n > 0) {
			t.Fatalf("after %d s of silence %d workers are there, known %v", s-20, n, known)
		}
	}
	if n, known := p.count("fast", at(95)); known {
		t.Errorf("%d workers are said to be there before each could give a sign", n)
	}
	if n, known := p.count("fast", at(96)); n != 0 || !known {
		t.Errorf("nobody has given a sign though it could be heard: %d, known %v", n, known)
	}
	p.note("fast", "a", at(97), at(97))
	if n, known := p.count("fast", at(97)); n != 1 || !known {
		t.Errorf("a worker that gives a sign is not there: %d, known %v", n, known)
	}
}

func TestPresenceIsBounded(t *testing.T) {
	p, now := newPresence(Config{}), time.Now()
	for n := range maxWorkers + 10 {
		p.note("fast", fmt.Sprint(n), now, now)
	}
	if n, _ := p.count("fast", now); n != maxWorkers {
		t.Errorf("%d workers are remembered", n)
	}
}
