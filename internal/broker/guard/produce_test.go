package guard

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

// anyProduce draws a produce request of a producer with so many topics and partitions.
func anyProduce(t *rapid.T, producer int64) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(rapid.Int16Range(3, apis[kmsg.Produce].highest).Draw(t, "version"))
	req.Acks = rapid.SampledFrom([]int16{-1, 0, 1}).Draw(t, "acks")
	for i := range rapid.IntRange(0, 3).Draw(t, "topics") {
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic = fmt.Sprint("t-", i)
		for j := range rapid.Int32Range(0, 3).Draw(t, "partitions") {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition = j
			if rapid.IntRange(0, 4).Draw(t, "null") > 0 {
				p.Records = seedBatch(seedRecords(), 2, 0)
				binary.BigEndian.PutUint64(p.Records[recordbatch.AtProducer:], uint64(producer))
				recordbatch.Seal(p.Records)
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
	}
	return req
}

// TestTheWalkOverProduceSeesWhatTheDecoderSees: every batch gets its time, every partition of
// an idempotent producer is counted, and acks 0 is no answer.
func TestTheWalkOverProduceSeesWhatTheDecoderSees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req := anyProduce(t, rapid.SampledFrom([]int64{-1, 77}).Draw(t, "producer"))
		g := newTestGuard()
		frame := frameOf(req)
		c, err := g.checkRequest(frame, noTime)
		if err != nil {
			t.Fatalf("version %d: %v", req.Version, err)
		}
		if c.silent != (req.Acks == 0) {
			t.Fatalf("acks %d: silent %t", req.Acks, c.silent)
		}
		got := kmsg.NewPtrProduceRequest()
		got.SetVersion(req.Version)
		if err := got.ReadFrom(c.body); err != nil {
			t.Fatal(err)
		}
		counted := 0
		for i := range got.Topics {
			for _, p := range got.Topics[i].Partitions {
				if len(p.Records) == 0 {
					continue
				}
				if ms := int64(binary.BigEndian.Uint64(p.Records[recordbatch.AtMaxTime:])); ms != noTime.UnixMilli() {
					t.Fatalf("partition %d of %s is of %d", p.Partition, got.Topics[i].Topic, ms)
				}
				if int64(binary.BigEndian.Uint64(p.Records[recordbatch.AtProducer:])) >= 0 {
					counted++
				}
			}
		}
		if len(g.producers.seen) != counted {
			t.Fatalf("%d partitions of producers are counted, want %d", len(g.producers.seen), counted)
		}
	})
}

// TestProduceBelievesNoCount: whatever number stands in the place of a length or a count, the
// walk ends, and passes only what the decoder can read.
func TestProduceBelievesNoCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frame := frameOf(anyProduce(t, -1))
		at := rapid.IntRange(fixedHeaderBytes, len(frame)-1).Draw(t, "byte")
		for i := range rapid.IntRange(1, 5).Draw(t, "bytes") {
			if at+i < len(frame) {
				frame[at+i] = rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xff}).Draw(t, "value")
			}
		}
		if _, err := newTestGuard().checkRequest(frame, noTime); err != nil {
			return
		}
		if err := decodeLikeEngine(frame); err != nil {
			t.Fatalf("passed what the engine does not decode: %v", err)
		}
	})
}
