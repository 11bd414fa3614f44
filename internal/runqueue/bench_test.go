package runqueue

import (
	"fmt"
	"testing"
)

// BenchmarkTakeAndDone serves a backlog that is filled up again.
func BenchmarkTakeAndDone(b *testing.B) {
	for _, bench := range []struct {
		name         string
		items, users int
		rule         bool
	}{
		{"50k_items_10_users", 50_000, 10, false},
		{"400k_items_100k_users", 400_000, 100_000, false},
		{"400k_items_100k_users_of_a_capped_service", 400_000, 100_000, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			q := New(Config[any]{Slots: 16})
			if bench.rule {
				q.SetRule(Service, "", Rule{MaxRunning: 4})
			}
			for n := range bench.items {
				q.Push(&Item[any]{User: fmt.Sprint(n % bench.users), Service: "s", Priority: n % 11})
			}
			if bench.rule { // others, whom the cap does not concern
				for n := range bench.items / 10 {
					q.Push(&Item[any]{User: fmt.Sprint(n % bench.users), Service: "free", Priority: n % 11})
				}
			}
			var running []*Item[any]
			b.ReportAllocs()
			for b.Loop() {
				i, _ := q.Take(b.Context())
				if running = append(running, i); len(running) == 8 {
					q.Done(running[0])
					q.Push(running[0])
					running = append(running[:0], running[1:]...)
				}
			}
		})
	}
}
