package provider

import (
	"math/rand/v2"
	"time"
)

// cost is what a request takes of limits.
type cost struct{ requests, input, output float64 }

func (c cost) minus(o cost) cost {
	return cost{c.requests - o.requests, c.input - o.input, c.output - o.output}
}

func (c cost) plus(o cost) cost {
	return cost{c.requests + o.requests, c.input + o.input, c.output + o.output}
}

// group is what one limit lets through, and what waits for it. Guarded by limits.mu.
type group struct {
	// name is for people, key for other instances.
	name, key string
	shadow    bool
	configured
	share                   float64 // of the limit, for this instance
	requests, input, output bucket

	// A 429 closes it until closed; then one request is tried, and the others wait for what comes of it.
	closed   time.Time
	tried    bool // the group was closed and has not been found open yet
	probing  bool
	refusals int // 429s in a row
	waiting  waiting
	usedAt   time.Time
	overs    int64 // that a shadow limit would have held

	// used is since the last report to other instances, rate what was used a second before it, asked the cost of the
	// last request; told says that others think this instance wants some.
	used, asked cost
	rate        float64
	told        bool
}

// configured are the limits a minute; 0 is none.
type configured struct{ rpm, itpm, otpm int64 }

func newGroup(name string, c configured, shadow bool, now time.Time) *group {
	return &group{name: name, key: name, configured: c, shadow: shadow, share: 1, usedAt: now,
		requests: newBucket(c.rpm, now), input: newBucket(c.itpm, now), output: newBucket(c.otpm, now)}
}

func (g *group) limited() bool { return g.rpm > 0 || g.itpm > 0 || g.otpm > 0 }

// room is how long a request has to wait, and why; nothing if it may go.
func (g *group) room(c cost, now time.Time) (time.Duration, string) {
	switch {
	case now.Before(g.closed):
		return g.closed.Sub(now), "the provider asks to wait (429)"
	case g.share == 0 && g.limited():
		return noShareWait, "this processor has no share of the limit yet; it has asked the others for one"
	case g.tried && g.probing:
		return probeWait, "the provider asked to wait (429), and one request tries whether it goes on"
	}
	g.requests.fill(now, g.share)
	g.input.fill(now, g.share)
	g.output.fill(now, g.share)
	wait, why := g.requests.wait(c.requests, g.share), "its requests a minute are used up"
	for _, b := range []struct {
		of   *bucket
		cost float64
		why  string
	}{
		{&g.input, c.input, "its input tokens a minute are used up"},
		{&g.output, c.output, "its output tokens a minute are used up"},
	} {
		if w := b.of.wait(b.cost, g.share); w > wait {
			wait, why = w, b.why
		}
	}
	return wait, why
}

// every is the time between two such requests.
func (g *group) every(c cost) time.Duration {
	return max(g.requests.every(c.requests, g.share), g.input.every(c.input, g.share), g.output.every(c.output, g.share))
}

func (g *group) take(c cost, now time.Time) {
	g.requests.take(c.requests)
	g.input.take(c.input)
	g.output.take(c.output)
	g.used = g.used.plus(c)
	g.usedAt = now
}

// Waits after a 429.
const (
	probeWait      = time.Second
	firstRefusal   = time.Second
	longestRefusal = time.Minute
	longestClosed  = 24 * time.Hour
)

// refuse closes the group after a 429.
func (g *group) refuse(after time.Duration, now time.Time) {
	g.refusals++
	if after <= 0 {
		after = min(firstRefusal<<min(g.refusals-1, 10), longestRefusal)
	}
	g.tried, g.probing = true, false
	if until := now.Add(min(after, longestClosed)); until.After(g.closed) {
		g.closed = until
	}
}

// open notes that a request was answered.
func (g *group) open(now time.Time) {
	if !now.Before(g.closed) {
		g.tried, g.refusals = false, 0
	}
	g.probing = false
}

// waiting are the tasks that were told to wait, by user. It is what their next look is spread by: each user's tasks
// look as often as any other's, so that users share what there is, however many tasks they have.
type waiting struct {
	users map[string]map[string]time.Time // task ids, and when they look again
	count int
	swept time.Time
}

const (
	maxWaiting  = 100_000
	waitingGone = 30 * time.Second // after which a task that has not looked again has gone elsewhere
	longestLook = 5 * time.Minute
)

func (w *waiting) add(user, task string, until, now time.Time) {
	if w.users == nil {
		w.users = map[string]map[string]time.Time{}
	}
	if now.Sub(w.swept) > waitingGone {
		w.sweep(now)
	}
	of := w.users[user]
	if _, known := of[task]; !known {
		if w.count >= maxWaiting {
			return
		}
		w.count++
	}
	if of == nil {
		of = map[string]time.Time{}
		w.users[user] = of
	}
	of[task] = until
}

func (w *waiting) remove(user, task string) {
	of := w.users[user]
	if _, known := of[task]; !known {
		return
	}
	w.count--
	if delete(of, task); len(of) == 0 {
		delete(w.users, user)
	}
}

func (w *waiting) sweep(now time.Time) {
	w.swept = now
	for user, of := range w.users {
		for task, until := range of {
			if now.Sub(until) > waitingGone {
				w.remove(user, task)
			}
		}
	}
}

// look is how long a user's task waits before it looks again, where one of them is let through every so often.
func (w *waiting) look(user string, every time.Duration) time.Duration {
	mine := len(w.users[user])
	if mine <= 1 && len(w.users) <= 1 {
		return 0
	}
	spread := float64(every) * float64(max(mine, 1)) * float64(max(len(w.users), 1)) / 4
	return min(time.Duration(spread*(0.5+rand.Float64())), longestLook)
}
