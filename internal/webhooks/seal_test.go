package webhooks

import (
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// TestForgedDeliveryIsNotPosted: only what dispatchers have written to task-webhooks is
// posted, or believed to have ended.
func TestForgedDeliveryIsNotPosted(t *testing.T) {
	w := newWorld(t)
	evil, right := w.receive(always(http.StatusOK)), w.receive(always(http.StatusBadGateway))
	w.fence("fast/0", 7)
	id := w.end("fast/0", 7, "alice", right.URL)
	cfg := w.config()
	cfg.Backoff, cfg.MaxBackoff = time.Millisecond, time.Millisecond
	c, stop := w.dispatcher(cfg)
	right.await("a try", func() bool { return c.metrics.retried.Get() > 0 })
	stop()
	now := time.Now()
	other, err := schemas.NewWebhookSecret([]byte("another one, of the forger's own"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []entry{
		{id: "fast/0-7-9", user: "alice", url: evil.URL, created: now, due: now, body: []byte("{}")},
		{id: id, user: "alice", url: evil.URL, tries: 900, created: now, due: now, body: []byte("{}")},
		{id: id, user: "alice", outcome: delivered},
	} {
		r := encodeEntry(w.topics.Webhooks(), e, seal([]schemas.WebhookSecret{other}, &e))
		if err := w.writer.ProduceSync(w.context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	before := right.tries(id)
	c, stop = w.dispatcher(cfg)
	right.await("another try", func() bool { return right.tries(id) > before })
	stop()
	if len(evil.got) != 0 || c.metrics.invalid.Get() != 3 {
		t.Errorf("posted %v, passed over %d records", evil.got, c.metrics.invalid.Get())
	}
}

// TestSealIsOfAllThatIsSaid: no member can be changed.
func TestSealIsOfAllThatIsSaid(t *testing.T) {
	first, _ := schemas.NewWebhookSecret(make([]byte, 32))
	second, _ := schemas.NewWebhookSecret([]byte("12345678901234567890123456789012"))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "a", "a b", `"`, "1 2"})
		draw := func(name string) entry {
			return entry{
				partition: rapid.Int32Range(0, 1).Draw(t, name), id: text.Draw(t, name), user: text.Draw(t, name),
				url:   text.Draw(t, name),
				tries: rapid.IntRange(0, 1).Draw(t, name), created: time.Unix(rapid.Int64Range(0, 1).Draw(t, name), 0).UTC(),
				due: time.Unix(rapid.Int64Range(0, 1).Draw(t, name), 0).UTC(), body: []byte(text.Draw(t, name)),
			}
		}
		a, b := draw("a"), draw("b")
		signed := seal([]schemas.WebhookSecret{first, second}, &a)
		same := a.partition == b.partition && a.id == b.id && a.user == b.user && a.url == b.url &&
			a.tries == b.tries &&
			a.created.Equal(b.created) && a.due.Equal(b.due) && string(a.body) == string(b.body)
		for _, secret := range []schemas.WebhookSecret{first, second} {
			if !sealed([]schemas.WebhookSecret{secret}, &a, signed) ||
				sealed([]schemas.WebhookSecret{secret}, &b, signed) != same {
				t.Fatalf("%+v sealed passes for %+v", a, b)
			}
		}
	})
}
