package notifier

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sleeper is a transport that only notes when its session was first woken.
type sleeper struct {
	once  sync.Once
	woken time.Time
}

func (k *sleeper) wake()                       { k.once.Do(func() { k.woken = time.Now() }) }
func (k *sleeper) beat()                       {}
func (k *sleeper) kill()                       {}
func (k *sleeper) peer() (kind, remote string) { return kindWebSocket, "" }

// drained is how long after its beginning each of so many sessions is told.
func drained(t *testing.T, count int, timeout time.Duration) []time.Duration {
	t.Helper()
	n := &Notifier{cfg: Config{ShutdownTimeout: timeout}.withDefaults(), registry: newRegistry()}
	n.wire()
	all := make([]*sleeper, count)
	for i := range all {
		all[i] = new(sleeper)
		n.registry.add(newSession(t.Context(), all[i], &n.cfg, n.metrics))
	}
	began := time.Now()
	n.drain(t.Context())
	after := make([]time.Duration, count)
	for i, k := range all {
		after[i] = k.woken.Sub(began)
	}
	for _, s := range n.registry.all() {
		if _, _, why := s.take(nil); why != goingAway() {
			t.Fatalf("a session ends with %+v", why)
		}
	}
	return after
}

func TestDrainIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 5 * time.Second
		for count, least := range map[int]time.Duration{1: 0, 100: 100 * drainGap / 2, 20_000: timeout / 4} {
			after := drained(t, count, timeout)
			var last time.Duration
			moments := make(map[time.Duration]int)
			ascending := true
			for i, d := range after {
				last = max(last, d)
				moments[d]++
				ascending = ascending && (i == 0 || d >= after[i-1])
			}
			if last < least || last > timeout*4/5 {
				t.Errorf("%d sessions: the last is told after %s of %s", count, last, timeout)
			}
			for moment, together := range moments {
				if together > count/50+1 {
					t.Errorf("%d of %d sessions are told together, after %s", together, count, moment)
				}
			}
			if count > 1 && ascending {
				t.Errorf("%d sessions are told in the order in which they came", count)
			}
		}
	})
}

func TestDrainEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n := &Notifier{cfg: Config{}.withDefaults(), registry: newRegistry()}
		n.wire()
		for range 1000 {
			n.registry.add(newSession(t.Context(), new(sleeper), &n.cfg, n.metrics))
		}
		began := time.Now()
		n.drain(ctx)
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %s", took)
		}
	})
}
