package subprocess

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// lookEvery is how often memory is looked at.
const lookEvery = time.Second

// watchMemory replaces children that have grown, and ends those that go on growing, until ctx ends.
func (p *Pool) watchMemory(ctx context.Context) {
	pace.Every(ctx, lookEvery, func() { p.weigh(residents()) })
}

// weigh judges children by what their process groups have resident.
func (p *Pool) weigh(resident map[int]int64) {
	p.mu.Lock()
	living := slices.Collect(maps.Keys(p.living))
	p.mu.Unlock()
	for _, c := range living {
		size := resident[c.pid]
		switch {
		case size > 2*p.config.MaxMemory:
			c.kill(ending{reason: fmt.Sprintf("it had %d MiB resident, more than twice max_memory (%d MiB); raise max_memory, "+
				"or use less", size>>20, p.config.MaxMemory>>20)})
		case size > p.config.MaxMemory:
			p.mu.Lock()
			p.wear(c)
			p.mu.Unlock()
		}
	}
}
