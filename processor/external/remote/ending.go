package remote

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/httpedge"
)

// Reasons for which leases end, as workers are told.
const (
	reasonFinished  = "finished"
	reasonLost      = "lost"
	reasonReturned  = "returned"
	reasonCancelled = "cancelled"
	reasonLimit     = "time_limit"
	reasonShutdown  = "shutdown"
)

// ending is how a lease has ended.
type ending struct {
	reason string
	// text says it to the worker, and goes on with what to do.
	text string
}

// problem is what a worker is told that comes after the end.
func (e *ending) problem() *httpedge.Problem {
	status := http.StatusGone
	if e.reason == reasonFinished {
		status = http.StatusConflict
	}
	p := httpedge.NewProblem(status, e.text)
	p.More = jsontext.Value(`{"reason":"` + e.reason + `"}`)
	return p
}

// Problems of requests. Each is made anew, because who answers one adds to it.

func errStarting() error {
	return httpedge.Unavailable("the processor is starting; try again")
}

func errStopping() error {
	return httpedge.Unavailable("the processor stops and gives no more tasks; what was given can still be answered")
}

func errUndescribed() error {
	p := httpedge.NewProblem(http.StatusConflict, "no worker has said yet, since this processor has started, what the "+
		"service has; POST /v1/worker/ready, then ask again")
	p.More = jsontext.Value(`{"reason":"not_ready"}`)
	return p
}

func errTooManyPolls() error {
	return httpedge.TooMany("too many workers wait for a task of this service already")
}

func errTooManyChanges() error {
	return httpedge.TooMany("what the service has was changed less than a second ago; do all its workers say the same?")
}

func errTooManyRequests() error {
	return httpedge.TooMany("there are too many requests about this attempt at once; send one after the other")
}

func errCutOff() error {
	return httpedge.NewProblem(http.StatusBadRequest, "the connection ended before this was taken; nothing of it was")
}

func errUnknownID() error {
	return httpedge.NewProblem(http.StatusNotFound, "no attempt at a task has this id here. Ids are those of the "+
		"tasks that /v1/worker/next gave, and are gone with the processor that gave them; its task is then another attempt's")
}
