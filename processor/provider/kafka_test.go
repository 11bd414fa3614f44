package provider

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// TestInstancesShareOverKafka: an instance that is started beside one that wants a limit gets its part of it, what one
// has spent is known to the others, and to itself after a restart; and who stops leaves its part to the others.
func TestInstancesShareOverKafka(t *testing.T) {
	brokers := kafkatest.Start(t)
	at := processor.Cluster{Kafka: kafka.Config{Brokers: []string{brokers}},
		Topics: schemas.Topics{Prefix: kafkatest.Prefix(t)}}
	_, err := topology.Ensure(t.Context(), kafkatest.Client(t, brokers), topology.Spec{Topics: at.Topics,
		Lanes: []string{"fast"}, Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	start := func() (f *Flow, stop func()) {
		f = newFlow(t, FlowConfig{Limits: []config.Limit{{Provider: "p", RPM: 600}},
			Budgets: []config.Budget{{User: "*", USDPerDay: 100}}})
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		var running sync.WaitGroup
		running.Go(func() {
			if err := f.Run(ctx, at); err != nil {
				t.Error(err)
			}
		})
		stop = sync.OnceFunc(func() { cancel(); running.Wait() })
		t.Cleanup(stop)
		return f, stop
	}
	ask := func(f *Flow, n int) *processor.Wait {
		r, wait := f.limits.reserve(target{"p", "m"}, key("u", n), cost{requests: 1}, time.Now())
		if wait == nil {
			r.settle(cost{requests: 1}, time.Now())
		}
		return wait
	}
	share := func(f *Flow) float64 {
		f.limits.mu.Lock()
		defer f.limits.mu.Unlock()
		return f.limits.shareOf("limit/p/m")
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		for tick, end := time.NewTicker(20*time.Millisecond), time.Now().Add(time.Minute); !holds(); <-tick.C {
			if time.Now().After(end) {
				t.Fatalf("not %s in time", what)
			}
		}
	}
	one, stopOne := start()
	until("alone", func() bool { return share(one) == 1 })
	two, stopTwo := start()
	n := 0
	busy := func(flows ...*Flow) {
		for _, f := range flows {
			n++
			ask(f, n%40)
		}
	}
	until("shared", func() bool {
		busy(one, two)
		a, b := share(one), share(two)
		return a > 0.2 && a < 0.8 && b > 0.2 && b < 0.8
	})
	stopTwo()
	until("left to the other", func() bool { busy(one); return share(one) == 1 })

	of := &schemas.Task{UserID: "ada"}
	if wait := asks(one.budgets, of, 60, time.Now()); wait != nil {
		t.Fatalf("waits %+v", wait)
	}
	stopOne()
	three, _ := start()
	until("known after a restart", func() bool {
		if wait := asks(three.budgets, of, 0, time.Now()); wait != nil {
			return false // it has not been read yet
		}
		three.budgets.mu.Lock()
		defer three.budgets.mu.Unlock()
		return three.budgets.spent["user/ada"].other == 60
	})
	four, _ := start()
	asks(three.budgets, of, 40, time.Now())
	until("used up everywhere", func() bool {
		wait := asks(four.budgets, of, 0, time.Now())
		return wait != nil && wait.Code == schemas.CodeOverLimit
	})
}

// TestAProcessorSaysThatItCannotShare: while it cannot read what others want, and only then.
func TestAProcessorSaysThatItCannotShare(t *testing.T) {
	f := newFlow(t, FlowConfig{Limits: []config.Limit{{Provider: "p", RPM: 600}}})
	service := Service("p", &script{name: "p"}, f)
	if w := service.Warnings(); len(w) > 0 {
		t.Errorf("alone it says %v", w)
	}
	s := newSharing(f)
	if w := service.Warnings(); len(w) != 1 || !strings.Contains(w[0], "task-limits") {
		t.Errorf("before it has read it says %v", w)
	}
	s.take(entry{key: "alive/other", value: []byte("{}"), at: time.Now()})
	if s.current(); len(service.Warnings()) > 0 {
		t.Errorf("once it has read it says %v", service.Warnings())
	}
	if s.apply(time.Now().Add(blindAfter + time.Second)); len(service.Warnings()) != 1 {
		t.Error("it has heard nothing for long, and does not say so")
	}
}
