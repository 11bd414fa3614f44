package webhooks

import (
	"net/url"
	"strings"
	"time"
)

// Rests of a target that fails: none for single failures, then doubling.
const (
	failuresBeforeRest = 3
	firstRest          = time.Second
	longestRest        = time.Minute
)

// target is where some deliveries go: scheme, host and port. One that fails again
// and again gets one try at a time and rests in between, so that it costs little
// and its other deliveries use up no tries of their own meanwhile.
type target struct {
	name    string
	open    int         // deliveries that go there
	ready   []*delivery // due, in the order in which they became so
	running int
	limit   int // of running
	// failures is how many tries failed since the last that did not.
	failures int
	rest     time.Time // no try before
	// listed says that it stands in the queue's list of targets that can be tried.
	listed bool
}

// targetOf is the name of a URL's target.
func targetOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // cannot be: it was checked
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// succeeded notes an answer that says the target works.
func (t *target) succeeded(most int) {
	t.failures, t.rest = 0, time.Time{}
	t.limit = min(t.limit+1, most)
}

// failed notes one that says it does not. Pause is what the target asked for.
// Failures of tries that began before a rest did say nothing new.
func (t *target) failed(now time.Time, pause time.Duration) {
	resting := now.Before(t.rest)
	if !resting {
		t.failures++
	}
	if !resting && t.failures >= failuresBeforeRest {
		t.limit = 1
		pause = max(pause, min(firstRest<<min(t.failures-failuresBeforeRest, 10), longestRest))
	}
	if until := now.Add(pause); pause > 0 && until.After(t.rest) {
		t.rest = until
	}
}

// take is the delivery that has been due for longest.
func (t *target) take() *delivery {
	d := t.ready[0]
	t.ready[0] = nil // the slice keeps its room
	t.ready = t.ready[1:]
	return d
}

// able reports whether a try can begin.
func (t *target) able(now time.Time) bool {
	return len(t.ready) > 0 && t.running < t.limit && !now.Before(t.rest)
}
