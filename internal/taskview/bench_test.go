//go:build unix

package taskview

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// BenchmarkTask is what a task costs the view: its record, `running`, its end, and
// their way into the file, in batches of a thousand tasks. The processor's time is
// what counts, and what a busy machine does not change much.
func BenchmarkTask(b *testing.B) {
	for _, users := range []int{1, 1000} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			m := &machine{dir: b.TempDir()}
			if err := m.open(); err != nil {
				b.Fatal(err)
			}
			defer m.s.store.close()
			lane := topicPartition{propertyTopics.Lane("fast"), 0}
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			for i := range b.N {
				user, id := fmt.Sprintf("user-%d", i%users), fmt.Sprintf("task-%08d", i)
				m.feed(b, &kgo.Record{Topic: lane.topic, Offset: int64(i), Timestamp: epoch0, Value: []byte(taskJSON(user, id))})
				for j, e := range []schemas.Event{state(user, id, schemas.Running, 1),
					completed(user, id, `{"text":"because of the air"}`)} {
					r := eventRecord(propertyTopics.Events(), 0, fold.Stamp{Shard: "fast/0", Epoch: 7, Seq: int64(2*i + j + 1)}, e)
					r.Offset, r.Timestamp = int64(2*i+j), epoch0
					m.feed(b, r)
				}
				if i%1000 == 999 {
					if err := m.commit(); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func (m *machine) feed(b *testing.B, r *kgo.Record) {
	if err := m.s.take(b.Context(), r); err != nil {
		b.Fatal(err)
	}
}
