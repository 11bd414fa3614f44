package processor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/schemas"
)

func TestTheInnermostLimitCounts(t *testing.T) {
	const s = time.Second
	ms := func(d time.Duration) *int64 { n := d.Milliseconds(); return &n }
	for _, test := range []struct {
		name    string
		config  limits
		lane    limits
		service limits
		task    schemas.Task
		want    limits
	}{
		{"the processor's", limits{300 * s, 600 * s, 60 * s}, limits{}, limits{}, schemas.Task{},
			limits{300 * s, 600 * s, 60 * s}},
		{"the lane's", limits{300 * s, 600 * s, 0}, limits{10 * s, 20 * s, 5 * s}, limits{}, schemas.Task{},
			limits{10 * s, 20 * s, 5 * s}},
		{"the service's", limits{300 * s, 600 * s, 0}, limits{10 * s, 20 * s, 5 * s}, limits{1 * s, 2 * s, 3 * s},
			schemas.Task{}, limits{1 * s, 2 * s, 3 * s}},
		{"the task's", limits{300 * s, 600 * s, 0}, limits{10 * s, 20 * s, 5 * s}, limits{1 * s, 2 * s, 3 * s},
			schemas.Task{SoftTimeLimitMS: ms(30 * s), TimeLimitMS: ms(40 * s)}, limits{30 * s, 40 * s, 3 * s}},
		{"a hard one alone brings its soft one", limits{300 * s, 600 * s, 0}, limits{}, limits{hard: 10 * s}, schemas.Task{},
			limits{9 * s, 10 * s, 0}},
		{"a soft one alone moves the hard one", limits{300 * s, 600 * s, 0}, limits{soft: 700 * s}, limits{}, schemas.Task{},
			limits{700 * s, 730 * s, 0}},
		{"each for itself", limits{300 * s, 600 * s, 7 * s}, limits{soft: 100 * s}, limits{heartbeat: 8 * s}, schemas.Task{},
			limits{100 * s, 600 * s, 8 * s}},
	} {
		t.Run(test.name, func(t *testing.T) {
			noop := func(context.Context, *Context) (any, error) { return nil, nil }
			registry, err := NewRegistry(Service{
				Mode: "m", Name: "s", Execute: noop,
				SoftTimeLimit: test.service.soft, TimeLimit: test.service.hard, HeartbeatLimit: test.service.heartbeat,
			})
			if err != nil {
				t.Fatal(err)
			}
			c := Config{
				Registry: registry, SoftTimeLimit: test.config.soft, TimeLimit: test.config.hard,
				HeartbeatLimit: test.config.heartbeat,
			}
			c.setDefaults()
			l := newLane(&c, Lane{
				Name: "fast", Slots: 1, SoftTimeLimit: test.lane.soft, TimeLimit: test.lane.hard,
				HeartbeatLimit: test.lane.heartbeat,
			}, new(governor), new(runqueue.Gate), metrics.NewSet())
			test.task.Mode, test.task.Service = "m", "s"
			if got := l.services[serviceKey{"m", "s"}].limitsOf(&test.task); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// TestWatchdogLooks at attempts of a soft limit of 10 s, a hard one of 20 s and,
// where given, a heartbeat limit.
func TestWatchdogLooks(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name                            string
		heartbeat, touched, silent, ran time.Duration
		cause                           error // of the context's end
		end                             error
		next                            time.Duration
	}{
		{name: "early", ran: 4 * s, next: 6 * s},
		{name: "at the soft limit", ran: 10 * s, cause: ErrTimeLimit, next: 10 * s},
		{name: "at the hard limit", ran: 20 * s, end: ErrTimeLimit},
		{name: "heard of lately", heartbeat: 3 * s, touched: 2 * s, ran: 4 * s, next: 1 * s},
		{name: "heard of, and soon at the soft limit", heartbeat: 3 * s, touched: 9 * s, ran: 9500 * time.Millisecond,
			next: 500 * time.Millisecond},
		{name: "silent", heartbeat: 3 * s, touched: 1 * s, ran: 4 * s, cause: ErrHeartbeat, next: heartbeatGrace},
		{name: "silent from the start", heartbeat: 3 * s, ran: 3 * s, cause: ErrHeartbeat, next: heartbeatGrace},
		{name: "told to stop", heartbeat: 3 * s, silent: 4 * s, ran: 7 * s, next: 2 * s},
		{name: "told to stop, and heard of since", heartbeat: 3 * s, silent: 4 * s, touched: 6 * s, ran: 7 * s, next: 2 * s},
		{name: "silent to the end", heartbeat: 3 * s, silent: 4 * s, ran: 9 * s, end: ErrHeartbeat},
		{name: "hard before the grace ends", heartbeat: 9 * s, silent: 18 * s, ran: 19 * s, next: 1 * s},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, d := &attempt{limits: limits{10 * s, 20 * s, test.heartbeat}, started: time.Now()}, new(watchdog)
			w.ctx, w.cancel = context.WithCancelCause(t.Context())
			w.touched.Store(int64(test.touched))
			if test.silent > 0 {
				d.silent = w.started.Add(test.silent)
			}
			end, next := d.look(w, w.started.Add(test.ran))
			if cause := context.Cause(w.ctx); !errors.Is(cause, test.cause) || cause != nil && test.cause == nil {
				t.Errorf("cause %v, want %v", cause, test.cause)
			}
			if end == nil && test.end != nil || end != nil && !errors.Is(end.cause, test.end) || next != test.next {
				t.Errorf("end %v, next look in %v; want %v, %v", end, next, test.end, test.next)
			}
		})
	}
}

func TestAStackIsThatOfItsGoroutine(t *testing.T) {
	names, release := make(chan string), make(chan struct{})
	defer close(release)
	go func() { standStill(names, release) }()
	var s stacks
	if got := s.of(<-names, time.Now()); !strings.Contains(got, "processor.standStill") ||
		strings.Contains(got, "TestAStack") && !strings.Contains(got, "created by") {
		t.Errorf("stack %s", got)
	}
	if got := s.of("goroutine 0 [", time.Time{}); got != "not found" {
		t.Errorf("stack %s", got)
	}
}

func standStill(names chan<- string, release <-chan struct{}) {
	names <- currentGoroutine()
	<-release
}
