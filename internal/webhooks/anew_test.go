package webhooks

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/pace"
)

// TestTopicsMadeAnew: whichever topic is deleted and made anew under a dispatcher, it says
// so while that lasts, and what ends afterwards is delivered.
func TestTopicsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, topic := range map[string]func(*world) string{
		"events":     func(w *world) string { return w.topics.Events() },
		"deliveries": func(w *world) string { return w.topics.Webhooks() },
		"lane":       func(w *world) string { return w.topics.Lane("fast") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.receive(always(http.StatusOK))
			c, _ := w.dispatcher(w.config())
			w.fence("fast/0", 7)
			before := w.end("fast/0", 7, "a", r.URL)
			r.await("the first", func() bool { return r.tries(before) > 0 })
			kafkatest.DeleteTopics(t, w.writer, topic(w))
			if name != "lane" { // which is asked for when an event names it
				r.await("the missing topic to be told", func() bool {
					err := c.Healthy()
					return err != nil && strings.Contains(err.Error(), topic(w))
				})
			}
			wanted := topology.Spec{Topics: w.topics, Lanes: []string{"fast", "heavy"}, Partitions: worldPartitions}
			if _, err := topology.Ensure(w.context(), w.client(), wanted); err != nil {
				t.Fatal(err)
			}
			w.writer = w.client()
			pace.Sleep(t.Context(), 2*time.Second) // the dispatcher may be at the topic that was
			w.fence("fast/0", 8)
			after := w.end("fast/0", 8, "a", r.URL)
			r.await("what ended after", func() bool { return r.tries(after) > 0 })
			r.await("health", func() bool { return c.Healthy() == nil })
		})
	}
}
