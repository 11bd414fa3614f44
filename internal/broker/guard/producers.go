package guard

import (
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxWindows bounds how many partitions of producers the engine remembers the
// last batches of. It forgets none of them before the next start.
const maxWindows = 100_000

// producers bounds what idempotent producers make the engine keep. One beyond the bound is taken all the same, as
// one that is not idempotent: a batch that it sends twice is stored twice.
type producers struct {
	log  *slog.Logger
	seed maphash.Seed

	mu   sync.RWMutex
	seen map[uint64]struct{} // hashes of (producer, topic, partition)
	full bool
}

func newProducers(log *slog.Logger) *producers {
	return &producers{log: log, seed: maphash.MakeSeed(), seen: make(map[uint64]struct{})}
}

// admit reports whether the engine may remember batches of a producer.
func (p *producers) admit(id int64, topic []byte, partition int32) bool {
	h := maphash.Bytes(p.seed, topic) ^ uint64(id)*0x9e3779b97f4a7c15 ^ uint64(uint32(partition))*0xc2b2ae3d27d4eb4f
	p.mu.RLock()
	_, known := p.seen[h]
	p.mu.RUnlock()
	if known {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) < maxWindows {
		p.seen[h] = struct{}{}
		return true
	}
	if !p.full {
		p.full = true
		p.log.Warn("too many idempotent producers since the start; what further ones send twice is stored twice. "+
			"A restart of the broker forgets the old ones", "limit", maxWindows)
	}
	return false
}

// initProducer answers a producer that asks for an id. The engine would note every id it gives and keep it for good;
// what it needs it learns from the first batch, too.
func initProducer(req *kmsg.InitProducerIDRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID = rand.Int64() //nolint:gosec // unique, not secret: 63 bits
	return resp
}
