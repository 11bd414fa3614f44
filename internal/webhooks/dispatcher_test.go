package webhooks

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

func headers(t *testing.T, w *world) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, h := range w.letters(1)[0].Headers {
		all[h.Key] = string(h.Value)
	}
	return all
}

// TestOnlyWhatCountsIsDelivered: neither a superseded owner's event nor a repeat
// is, nor one without a callback.
func TestOnlyWhatCountsIsDelivered(t *testing.T) {
	w := newWorld(t)
	r := w.receive(always(http.StatusNoContent))
	w.fence("fast/0", 100)
	first := w.end("fast/0", 100, "alice", r.URL+"/a")
	w.end("fast/0", 100, "alice", "")
	w.fence("fast/0", 200)
	zombie := w.end("fast/0", 100, "alice", r.URL+"/zombie")
	w.fence("heavy/0", 5)
	other := w.end("heavy/0", 5, "alice", r.URL+"/b")
	last := w.end("fast/0", 200, "alice", r.URL+"/a")
	c, stop := w.dispatcher(w.config())
	r.await("delivery", r.all([]string{first, other, last}, 1))
	r.await("the end of all", func() bool { return c.metrics.delivered.Get() == 3 })
	stop()
	if r.tries(zombie) != 0 || len(r.got) != 3 {
		t.Errorf("delivered %v", r.got)
	}
}

// TestOnceWithSeveralDispatchers: they come, go and share, and nothing is delivered
// twice or missed.
func TestOnceWithSeveralDispatchers(t *testing.T) {
	w := newWorld(t)
	r := w.receive(always(http.StatusOK))
	var ids []string
	burst := func(n int) {
		for i := range n {
			ids = append(ids, w.end(fmt.Sprintf("fast/%d", i%worldPartitions), 7, fmt.Sprintf("user-%d", i),
				fmt.Sprintf("%s/%d", r.URL, i)))
		}
	}
	for p := range worldPartitions {
		w.fence(fmt.Sprintf("fast/%d", p), 7)
	}
	burst(60)
	_, stop1 := w.dispatcher(w.config())
	r.await("the first", func() bool { return r.tries(ids[0]) > 0 })
	_, stop2 := w.dispatcher(w.config())
	burst(60)
	r.await("the second burst's start", func() bool { return r.tries(ids[60]) > 0 })
	stop1()
	burst(60)
	_, stop3 := w.dispatcher(w.config())
	r.await("all", r.all(ids, 1))
	stop2()
	stop3()
	_, stop4 := w.dispatcher(w.config()) // finds nothing to do
	extra := w.end("fast/0", 7, "last", r.URL)
	r.await("the last", r.all([]string{extra}, 1))
	stop4()
	for _, id := range append(ids, extra) {
		if n := r.tries(id); n != 1 {
			t.Errorf("%s was posted %d times", id, n)
		}
	}
}

// TestRetriesGoOnOverARestart: the number of tries is in the log.
func TestRetriesGoOnOverARestart(t *testing.T) {
	w := newWorld(t)
	up := make(chan struct{})
	r := w.receive(func(_ string, try int) int {
		select {
		case <-up:
			return http.StatusOK
		default:
			return http.StatusBadGateway
		}
	})
	w.fence("fast/1", 3)
	id := w.end("fast/1", 3, "alice", r.URL)
	c, stop := w.dispatcher(w.config())
	r.await("two tries", func() bool { return c.metrics.retried.Get() >= 2 })
	stop()
	before := r.tries(id)
	c, stop = w.dispatcher(w.config())
	r.await("another try", func() bool { return r.tries(id) > before })
	close(up)
	r.await("the delivery", func() bool { return c.metrics.delivered.Get() == 1 })
	stop()
	if c.metrics.made.Get() != 0 || c.metrics.reread.Get() == 0 {
		t.Errorf("the second dispatcher made %d deliveries and read %d bodies again", c.metrics.made.Get(),
			c.metrics.reread.Get())
	}
}

func TestGivenUpIsADeadLetter(t *testing.T) {
	w, r, id := newDelivery(t, http.StatusInternalServerError)
	cfg := w.config()
	cfg.MaxTries = 2
	_, stop := w.dispatcher(cfg)
	letter := headers(t, w)
	stop()
	if letter[schemas.HeaderReason] != schemas.ReasonWebhookFailed || letter[schemas.HeaderAttempt] != "2" ||
		letter[schemas.HeaderDelivery] != id || letter[schemas.HeaderCallback] != r.URL+"/hook" ||
		!strings.Contains(letter[schemas.HeaderError], "2 tries: answered 500") ||
		letter[schemas.HeaderTopic] != w.topics.Webhooks() {
		t.Errorf("the letter says %v", letter)
	}
	if n := r.tries(id); n != 2 {
		t.Errorf("%d tries", n)
	}
}

// TestGoneIsTheEnd: a receiver that answers 410 is not asked again.
func TestGoneIsTheEnd(t *testing.T) {
	w, r, id := newDelivery(t, http.StatusGone)
	c, stop := w.dispatcher(w.config())
	r.await("the end", func() bool { return c.metrics.gone.Get() == 1 })
	stop()
	if n := r.tries(id); n != 1 {
		t.Errorf("%d tries", n)
	}
}

// TestPrivateAddressIsADeadLetterAtOnce: the guard's refusal is final, and says
// what to do.
func TestPrivateAddressIsADeadLetterAtOnce(t *testing.T) {
	w, r, id := newDelivery(t, http.StatusOK)
	cfg := w.config()
	cfg.Allow = nil
	c, stop := w.dispatcher(cfg)
	letter := headers(t, w)
	stop()
	if !strings.Contains(letter[schemas.HeaderError], "loopback") ||
		!strings.Contains(letter[schemas.HeaderError], "--webhook-allow") ||
		r.tries(id) != 0 || c.metrics.refused.Get() != 1 {
		t.Errorf("the letter says %v, %d refused, %d tries", letter, c.metrics.refused.Get(), r.tries(id))
	}
}

// TestNameOfTwoFamiliesWaitsForItsAllowedAddress: its server is down for a moment, and
// the other address is no reason for a dead letter.
func TestNameOfTwoFamiliesWaitsForItsAllowedAddress(t *testing.T) {
	w := newWorld(t)
	well := w.receive(always(http.StatusOK))
	address := well.Listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	well.Close()
	w.fence("fast/2", 3)
	id := w.end("fast/2", 3, "alice", "http://both.test:"+port+"/hook")
	cfg := w.config()
	cfg.lookup = lookup("::1", "127.0.0.1")
	c, stop := w.dispatcher(cfg)
	well.await("a try that fails", func() bool { return c.metrics.retried.Get() > 0 })
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	again := &http.Server{Handler: well.Config.Handler, ReadHeaderTimeout: patience}
	go func() { _ = again.Serve(listener) }()
	t.Cleanup(func() { _ = again.Close() })
	well.await("the delivery", func() bool { return c.metrics.delivered.Get() == 1 })
	stop()
	if well.tries(id) != 1 || c.metrics.failed.Get()+c.metrics.refused.Get() != 0 {
		t.Errorf("%d tries, %d failed, %d refused", well.tries(id), c.metrics.failed.Get(), c.metrics.refused.Get())
	}
}

// TestDeadTargetHoldsUpNobody: more deliveries than slots go to a receiver that
// never answers, and another one's arrive.
func TestDeadTargetHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	hang := make(chan struct{})
	dead := w.receive(func(string, int) int { <-hang; return http.StatusOK })
	well := w.receive(always(http.StatusOK))
	for p := range worldPartitions {
		w.fence(fmt.Sprintf("fast/%d", p), 7)
	}
	for i := range 30 {
		w.end(fmt.Sprintf("fast/%d", i%worldPartitions), 7, "a", dead.URL)
	}
	var ids []string
	for i := range 30 {
		ids = append(ids, w.end(fmt.Sprintf("fast/%d", i%worldPartitions), 7, "b", well.URL))
	}
	cfg := w.config()
	cfg.Slots, cfg.TargetSlots = 6, 4
	cfg.Timeout = patience // nothing of the dead one's ends in this test
	_, stop := w.dispatcher(cfg)
	well.await("the deliveries of the other", well.all(ids, 1))
	close(hang)
	stop()
}

// TestCrashBetweenDeliveryAndCommit: what was made and never committed is
// recognised, not made again.
func TestCrashBetweenDeliveryAndCommit(t *testing.T) {
	w, r, id := newDelivery(t, http.StatusOK)
	cfg := w.config()
	cfg.CommitInterval = 10 * patience
	c, _ := w.dispatcher(cfg)
	r.await("the delivery", func() bool { return c.metrics.delivered.Get() == 1 })
	c.current().fail(errCrash) // leaves without a commit, joins again
	r.await("the event again", func() bool { return c.metrics.repeated.Get() == 1 })
	second := w.end("fast/2", 3, "alice", r.URL)
	r.await("the next", r.all([]string{second}, 1))
	if n := r.tries(id); n != 1 {
		t.Errorf("%d tries", n)
	}
}

var errCrash = fmt.Errorf("a crash of the test's making")

// TestMetricsAreDocumented: docs/WEBHOOKS.md has every one that is served.
func TestMetricsAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../../docs/WEBHOOKS.md")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(newConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c.WritePrometheus(&out)
	seen := 0
	for line := range strings.Lines(out.String()) {
		name, _ := strings.CutPrefix(line[:strings.IndexAny(line, "{ ")], "tasklane_webhooks_")
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		if seen++; !strings.Contains(string(document), "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
	}
	if seen < 10 {
		t.Errorf("%d metrics in\n%s", seen, out.String())
	}
}

func TestNewChecksItsConfiguration(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"--webhook-secret-file": func(c *Config) { c.Secrets = nil },
		"5 webhook secrets":     func(c *Config) { c.Secrets = slices.Repeat(c.Secrets, 5) },
		"no broker":             func(c *Config) { c.Kafka.Brokers = nil },
	} {
		cfg := newConfig(t)
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func newConfig(t *testing.T) Config {
	t.Helper()
	secret, err := schemas.NewWebhookSecret(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9"}}, Secrets: []schemas.WebhookSecret{secret}}
}
