package lane

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// TestALogThatEndsInAMarkerIsRead: where the end of a log is lost, the embedded broker holds it with a marker, as
// transactions leave them. It is no record, and nothing else may come behind it for long: a take-over that reads to the
// log's end must see it, whichever log it is.
func TestALogThatEndsInAMarkerIsRead(t *testing.T) {
	t.Parallel()
	for name, topicOf := range map[string]func(schemas.Topics) string{
		"the waiting log": schemas.Topics.Scheduled, "the journal": schemas.Topics.Events,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := kafkatest.StartKillable(t)
			l := newTestLaneOn(t, broker.Addr())
			first := l.join("one", nil, nil)
			first.holds(lanePartitions)
			l.send("a", 1)
			first.until("the first", func() bool { return l.committed(1) == 1 })
			first.crash()
			broker.Kill()
			path := filepath.Join(broker.Dir(), "log", "partitions", topicOf(l.topics)+"-1", "0.dat")
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, int64(len(content)-1)); err != nil { // so its last record is lost
				t.Fatal(err)
			}
			broker.Restart()

			var log notes
			l.log = slog.New(slog.NewTextHandler(&log, nil))
			second := l.join("two", nil, nil)
			l.send("b", 1)
			second.until("the second", func() bool { return l.committed(1) == 2 })
			if said := log.String(); strings.Contains(said, "not delivered") {
				t.Errorf("the marker was waited for in vain:\n%s", said)
			}
		})
	}
}

// notes are what was logged.
type notes struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}
