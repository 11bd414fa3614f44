package webhooks

import (
	"net/url"
	"strings"
	"time"
)

// Rests of a route that fails: none for single failures, then doubling.
const (
	failuresBeforeRest = 3
	firstRest          = time.Second
	longestRest        = time.Minute
	// longestPause bounds for how long a Retry-After holds the others of a route. The
	// delivery that was answered so waits for as long as was asked.
	longestPause = time.Hour
	// quickTry is how long a try may take to be a quick one.
	quickTry = 2 * time.Second
)

// speed is what is known of how long a route's tries take.
type speed uint8

const (
	quick speed = iota // the last took no longer than quickTry
	fresh              // none has ended yet
	slow               // the last took longer
	speeds
)

// route is what one user has posted to one target. One that fails again and again
// gets one try at a time and rests in between, so that it costs little and its
// other deliveries use up no tries of their own meanwhile. All of this is the
// user's own: another who posts to the same target is none the wiser, whatever a
// receiver answers to this one.
type route struct {
	user, target *bound
	open         int
	ready        []*delivery // due, in the order in which they became so
	running      int
	limit        int // of running
	speed        speed
	// failures is how many tries failed since the last that did not.
	failures int
	rest     time.Time // no try before
	// listed says that it stands in a list of the queue's or of a bound's.
	listed bool
}

// bound is what the routes of a user, or to a target (scheme, host and port), have in
// common: how many tries there are at once.
type bound struct {
	name    string
	open    int
	running int
	// unproven is how many of them are of routes that are not quick.
	unproven int
	// blocked are routes that could be tried if there were room.
	blocked []*route
}

// targetOf is the name of a URL's target.
func targetOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // cannot be: it was checked
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// succeeded notes an answer that says the receiver works.
func (r *route) succeeded(most int) {
	r.failures, r.rest = 0, time.Time{}
	r.limit = min(r.limit+1, most)
}

// failed notes one that says it does not. Pause is what the receiver asked for.
// Failures of tries that began before a rest did say nothing new.
func (r *route) failed(now time.Time, pause time.Duration) {
	resting := now.Before(r.rest)
	if !resting {
		r.failures++
	}
	pause = min(pause, longestPause)
	if pause > 0 {
		r.limit = 1
	}
	if !resting && r.failures >= failuresBeforeRest {
		r.limit = 1
		pause = max(pause, min(firstRest<<min(r.failures-failuresBeforeRest, 10), longestRest))
	}
	if until := now.Add(pause); pause > 0 && until.After(r.rest) {
		r.rest = until
	}
}

// take is the delivery that has been due for longest.
func (r *route) take() *delivery {
	d := r.ready[0]
	r.ready[0] = nil // the slice keeps its room
	r.ready = r.ready[1:]
	return d
}
