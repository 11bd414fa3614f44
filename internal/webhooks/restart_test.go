package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// TestBrokerRestart: what is in doubt is read from the log again, and nothing is
// lost while the broker is away.
func TestBrokerRestart(t *testing.T) {
	dir := t.TempDir()
	run := func(addr string) (stop func(), at string) {
		b, err := broker.New(broker.Config{Addr: addr, DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return kafkatest.Run(t, b), b.Addr()
	}
	stopBroker, addr := run("127.0.0.1:0")
	w := newWorldOn(t, addr)
	r := w.receive(func(id string, try int) int {
		if try == 1 && strings.HasSuffix(id, "3") {
			return http.StatusBadGateway
		}
		return http.StatusOK
	})
	var ids []string
	burst := func() {
		for i := range 30 {
			ids = append(ids, w.end(fmt.Sprintf("fast/%d", i%worldPartitions), 7, "a", r.URL))
		}
	}
	for p := range worldPartitions {
		w.fence(fmt.Sprintf("fast/%d", p), 7)
	}
	burst()
	_, stop1 := w.dispatcher(w.config())
	_, stop2 := w.dispatcher(w.config())
	r.await("the first", func() bool { return r.tries(ids[0]) > 0 })
	stopBroker()
	_, _ = run(addr)
	burst()
	r.await("all", r.all(ids, 1))
	stop1()
	stop2()
	_, stop3 := w.dispatcher(w.config()) // ends what the others could not write down
	r.await("nothing open", func() bool { return w.openDeliveries() == 0 })
	stop3()
}

// openDeliveries reads what task-webhooks says is open.
func (w *world) openDeliveries() int {
	w.t.Helper()
	cfg := w.config()
	l, err := newDeliveryLog(cfg.Kafka, cfg.Topics, cfg.Secrets)
	if err != nil {
		w.t.Fatal(err)
	}
	defer l.close()
	open := 0
	for p := range int32(worldPartitions) {
		b := newBacklog(context.Background(), p)
		b.begin(checkpoint{})
		err := l.read(w.context(), p, 0, func(e entry, offset int64, err error) {
			if err != nil {
				w.t.Error(err)
			}
			b.restore(e, offset)
		})
		if err != nil {
			w.t.Fatal(err)
		}
		b.cancel()
		open += len(b.open)
	}
	return open
}

// TestStorm: dispatchers join and leave all the time, in order, and every event is
// posted once.
func TestStorm(t *testing.T) {
	w := newWorld(t)
	r := w.receive(always(http.StatusOK))
	for p := range worldPartitions {
		w.fence(fmt.Sprintf("heavy/%d", p), 7)
	}
	_, stop := w.dispatcher(w.config())
	var ids []string
	for round := range 6 {
		_, next := w.dispatcher(w.config())
		for i := range 20 {
			ids = append(ids, w.end(fmt.Sprintf("heavy/%d", i%worldPartitions), 7, fmt.Sprint(i), r.URL))
		}
		r.await(fmt.Sprintf("the start of round %d", round), func() bool { return r.tries(ids[20*round]) > 0 })
		stop()
		stop = next
	}
	r.await("all", r.all(ids, 1))
	stop()
	if open := w.openDeliveries(); open != 0 {
		t.Errorf("%d deliveries are open", open)
	}
	for _, id := range ids {
		if n := r.tries(id); n != 1 {
			t.Errorf("%s was posted %d times", id, n)
		}
	}
}
