package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"
)

// ProducerOpts are the options of everything that writes: acknowledged by all in-sync replicas, idempotent (kgo's
// default), sent at once. Without a linger kgo still fills batches while the requests before them are under way, so
// throughput does not need one.
//
// Batches are as large as the topic they go to takes, and not compressed: on the embedded broker every batch would
// be decompressed again to be checked. A partitioner is not among them; see JavaPartitioner.
func ProducerOpts() []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytesFn(maxBatchBytes),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	}
}

// JavaPartitioner chooses a record's partition as the Java client does: by the murmur2 hash of its key, so that the
// same key is in the same partition whichever of the two has written it. Records without a key stick to one
// partition for a batch.
func JavaPartitioner() kgo.Partitioner {
	return kgo.StickyKeyPartitioner(nil)
}
