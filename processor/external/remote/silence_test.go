package remote

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
	"github.com/aiecs/tasklane/schemas"
)

// bubble is a service without a network, whose time passes at once.
type bubble struct {
	t *testing.T
	s *service
}

// inBubble runs a test with a service that any task can be given to.
func inBubble(t *testing.T, test func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := ServiceConfig{Mode: "test", Name: "one"}
		c.setDefaults()
		b := &bubble{t, newService(c, newLedger(), slog.New(slog.DiscardHandler))}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.s.run(ctx, processor.Cluster{}) }()
		synctest.Wait()
		must(t, b.s.describe(&message.Message{Type: message.Ready, Protocol: 1}, []byte(anyTask)))
		test(t, b)
		cancel()
		must(t, <-ended)
	})
}

// begin gives a task to a worker.
func (b *bubble) begin(ctx context.Context, hard time.Duration) (*lease, chan error) {
	b.t.Helper()
	p, err := b.s.wait("w")
	must(b.t, err)
	task := &schemas.Task{TaskID: "t", UserID: "u", TaskName: "x", Mode: "test", Service: "one"}
	grant, wait := b.s.admit(task)
	if wait != nil {
		b.t.Fatalf("it waits for %+v", wait)
	}
	done := make(chan error, 1)
	go func() {
		at := time.Now().Add(hard)
		_, err := b.s.execute(ctx, processor.NewContext(task, "fast", 1, func(context.Context, *schemas.Event) error {
			return nil
		}, processor.WithGrant(grant), processor.WithDeadlines(at, at)))
		grant.Release()
		done <- err
	}()
	h := <-p.given
	h.done <- nil
	synctest.Wait()
	return h.lease, done
}

func (b *bubble) say(l *lease, kind, body string) error {
	one, err := readBatch(kind, l.id, []byte(body))
	must(b.t, err)
	return l.deliver(b.t.Context(), one)
}

func isLost(err error) bool {
	var lost *processor.LostError
	return errors.As(err, &lost)
}

// TestSilentWorkers lose their task after the heartbeat window, and not before; what they say then is refused with why.
func TestSilentWorkers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		began := time.Now()
		l, done := b.begin(t.Context(), time.Hour)
		for range 5 {
			pace.Sleep(t.Context(), 29*time.Second)
			must(t, b.say(l, message.Progress, `{"percent":1}`))
		}
		last := time.Now()
		err := <-done
		if !isLost(err) || time.Since(last) != 30*time.Second || last.Sub(began) != 145*time.Second ||
			err.Error() != "its worker said nothing about it for 30s" {
			t.Errorf("after %v: %v", time.Since(last), err)
		}
		if err := b.say(l, message.Result, `{"result":1}`); err == nil || !strings.Contains(err.Error(), "410 Gone") ||
			!strings.Contains(err.Error(), "no longer yours") {
			t.Errorf("a late result: %v", err)
		}
		if b.s.meter.lost.Get() != 1 || b.s.meter.running.Get() != 0 {
			t.Errorf("%d are counted as lost, %v run", b.s.meter.lost.Get(), b.s.meter.running.Get())
		}
	})
}

// TestPingsKeepATask: as does whatever is on its way, for as long as it may take; what is refused does not.
func TestPingsKeepATask(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		l, done := b.begin(t.Context(), time.Hour)
		for range 100 {
			pace.Sleep(t.Context(), 29*time.Second)
			l.hear()
		}
		must(t, l.takeTurn(t.Context()))
		pace.Sleep(t.Context(), 50*time.Second) // its body comes slowly
		must(t, b.say(l, message.Progress, `{}`))
		l.endTurn()
		began := time.Now()
		for range 29 {
			pace.Sleep(t.Context(), time.Second)
			l.refuse("Bad Request")
		}
		if err := <-done; !isLost(err) || time.Since(began) != 30*time.Second ||
			!strings.HasSuffix(err.Error(), "what it sent last was refused (Bad Request)") {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// TestEndlessBodies: a worker of which something is always on its way and never comes has lost its task too.
func TestEndlessBodies(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		began := time.Now()
		l, done := b.begin(t.Context(), time.Hour)
		must(t, l.takeTurn(t.Context()))
		err := <-done
		if took := time.Since(began); !isLost(err) || took < 90*time.Second || took > 92*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		if err := l.takeTurn(t.Context()); err == nil || !strings.Contains(err.Error(), "410") {
			t.Errorf("what waits for its turn hears %v", err)
		}
	})
}

// TestSilentWorkersThatAreToStop: between the soft time limit and the hard one silence is silence; a worker that pings
// has until the hard one, one of a cancelled task four seconds.
func TestSilentWorkersThatAreToStop(t *testing.T) {
	for _, c := range []struct {
		cause error
		pings bool
		after time.Duration
		lost  bool
	}{
		{processor.ErrTimeLimit, false, 30 * time.Second, true}, {processor.ErrTimeLimit, true, time.Hour, false},
		{processor.ErrCancelled, true, stopGrace, false}, {processor.ErrHandedOver, false, handOverGrace, false},
	} {
		inBubble(t, func(t *testing.T, b *bubble) {
			ctx, cancel := context.WithCancelCause(t.Context())
			began := time.Now()
			l, done := b.begin(ctx, time.Hour)
			cancel(c.cause)
			pinging, stop := context.WithCancel(t.Context())
			go func() {
				for ticker := time.Tick(10 * time.Second); c.pings; {
					select {
					case <-ticker:
						l.hear()
					case <-pinging.Done():
						return
					}
				}
			}()
			err := <-done
			stop()
			if took := time.Since(began); took != c.after || isLost(err) != c.lost || !c.lost && !errors.Is(err, c.cause) {
				t.Errorf("%v, pings %v: %v after %v", c.cause, c.pings, err, took)
			}
		})
	}
}

// TestTasksWaitForWorkers: in short steps while workers are busy, visibly while there is none, for as long as there was
// none.
func TestTasksWaitForWorkers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		task := &schemas.Task{}
		admit := func(reason, reasonFor string, least, most time.Duration) {
			t.Helper()
			_, wait := b.s.admit(task)
			if wait == nil || wait.For != reasonFor || !strings.Contains(wait.Reason, reason) ||
				time.Until(wait.Until) < least || time.Until(wait.Until) > most || wait.Name != "service/test/one" {
				t.Errorf("it waits for %+v, want %s in %v to %v", wait, reason, least, most)
			}
		}
		admit("as they have asked for", schemas.WaitLimit, minAsk, minAsk)
		pace.Sleep(t.Context(), 6*time.Second)
		admit("no worker asks", schemas.WaitService, 6*time.Second, 6*time.Second)
		pace.Sleep(t.Context(), time.Hour)
		admit("no worker asks", schemas.WaitService, maxAwayAsk, maxAwayAsk)
		const want = "no worker has asked for a task for 1h"
		if warned := b.s.warnings(); len(warned) != 1 || !strings.Contains(warned[0], want) {
			t.Errorf("warnings %q", warned)
		}
		l, done := b.begin(t.Context(), time.Hour)
		pace.Sleep(t.Context(), 20*time.Second)
		admit("as they have asked for", schemas.WaitLimit, minAsk, minAsk)
		must(t, b.say(l, message.Result, `{"result":1}`))
		must(t, <-done)
		for range 10_000 {
			_, _ = b.s.admit(task)
		}
		admit("as they have asked for", schemas.WaitLimit, maxAsk, maxAsk)
		if warned := b.s.warnings(); len(warned) != 0 {
			t.Errorf("warnings %q", warned)
		}
	})
	c := ServiceConfig{Mode: "a", Name: "b"}
	c.setDefaults()
	s := newService(c, newLedger(), slog.New(slog.DiscardHandler))
	if _, wait := s.admit(&schemas.Task{}); wait == nil || wait.For != schemas.WaitService {
		t.Errorf("before it is described a task waits for %+v", wait)
	}
}

// TestWithdrawnPolls: one for which an attempt was let in goes on for it, and one that is used has its task.
func TestWithdrawnPolls(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		s, task := b.s, &schemas.Task{}
		p, err := s.wait("")
		must(t, err)
		g, _ := s.admit(task)
		if s.withdraw(p, false) != reserved {
			t.Error("a reserved poll was withdrawn")
		}
		g.Release()
		if s.withdraw(p, false) != withdrawn || s.use(g) != nil {
			t.Error("a free poll was not withdrawn, or was used after it")
		}
		p, err = s.wait("")
		must(t, err)
		g, _ = s.admit(task)
		other, err := s.wait("")
		must(t, err)
		if s.withdraw(p, true) != withdrawn || s.use(g) != other || s.withdraw(other, true) != used || s.use(nil) != nil {
			t.Error("an attempt was not given to another worker in the place of one that has left")
		}
		g.Release()
		for range maxPolls {
			_, err = s.wait("")
			must(t, err)
		}
		if _, err = s.wait(""); err == nil || !strings.HasPrefix(err.Error(), "429") {
			t.Errorf("one poll too many: %v", err)
		}
		s.polls = nil
	})
}

// TestLedger: so many leases that are over are remembered, and no more.
func TestLedger(t *testing.T) {
	c := ServiceConfig{Mode: "a", Name: "b"}
	c.setDefaults()
	s := newService(c, newLedger(), slog.New(slog.DiscardHandler))
	running := newLease(s, processor.NewContext(&schemas.Task{}, "fast", 1, nil))
	s.leases.add(running)
	var ids []string
	for range 2*maxRetired + 5 {
		l := newLease(s, processor.NewContext(&schemas.Task{}, "fast", 1, nil))
		s.leases.add(l)
		l.end(ending{reason: reasonLost})
		l.end(ending{reason: reasonFinished}) // the first end is the end
		if got := l.ended(); got.reason != reasonLost {
			t.Fatalf("it has ended with %+v", got)
		}
		ids = append(ids, l.id)
	}
	if n := len(s.leases.leases); n != maxRetired+1 || s.leases.find(running.id) == nil ||
		s.leases.find(ids[maxRetired+4]) != nil || s.leases.find(ids[maxRetired+5]) == nil {
		t.Errorf("%d are remembered", n)
	}
}
