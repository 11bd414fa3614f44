package processor

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/journal"
)

// work is one attempt at a job: its context, and what it holds.
type work struct {
	lane   *lane
	queued *queued
	held   *journal.Held
	job    *journal.Job
	ctx    context.Context
	cancel context.CancelCauseFunc
	limits limits
	// The attempt's number at its start, and what earlier ones left.
	attempt     int
	checkpoints map[string]jsontext.Value
	context     atomic.Pointer[Context] // once the handler runs
	stop        atomic.Pointer[stoppedError]
	started     time.Time // set under the shard's lock, before the handler runs
	freed       atomic.Bool
	runaway     atomic.Bool
	// touched is how long after the start the handler last said something.
	touched atomic.Int64
}

func (l *lane) newWork(of *queued) *work {
	w := &work{lane: l, queued: of, held: of.held, job: of.job, limits: l.limitsOf(of.job.Task)}
	w.ctx, w.cancel = context.WithCancelCause(context.Background())
	return w
}

func workOf(j *journal.Job) *work { return j.Payload.(*journal.Delivery).Work.(*work) }

// touch notes that the handler is alive: its heartbeat limit begins anew.
func (w *work) touch() { w.touched.Store(int64(time.Since(w.started))) }

// free gives back what the attempt holds, once: whoever ends the work calls it.
func (w *work) free() {
	if !w.freed.CompareAndSwap(false, true) {
		return
	}
	w.lane.queue.Done(&w.queued.item)
	if !w.started.IsZero() {
		w.lane.meter.of(w.job.Task).active.Dec()
	}
}
