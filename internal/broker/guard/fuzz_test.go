package guard

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

// FuzzCheckRequest: the check never panics, and the engine decodes whatever it
// lets through. The seeds are one request of every kind that is let through.
func FuzzCheckRequest(f *testing.F) {
	for key := range int16(100) {
		req := kmsg.RequestForKey(key)
		a, served := apis[kmsg.Key(key)]
		if !served {
			continue
		}
		for _, version := range []int16{0, a.highest} {
			req.SetVersion(version)
			f.Add(kmsg.NewRequestFormatter(kmsg.FormatterClientID("seed")).AppendRequest(nil, req, 1)[sizeBytes:])
		}
	}
	f.Add(seedProduce())
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < fixedHeaderBytes+2 || checkSize(int32(len(frame)), frame) != nil {
			return
		}
		checked, err := newTestGuard().checkRequest(frame, time.UnixMilli(1_700_000_000_000))
		if err != nil || checked.answer != nil {
			return
		}
		if err := decodeLikeEngine(frame); err != nil {
			t.Errorf("passed a request the engine does not decode: %v", err)
		}
	})
}

// decodeLikeEngine takes the steps the engine takes with a frame.
func decodeLikeEngine(frame []byte) error {
	r := kbin.Reader{Src: frame}
	req := kmsg.RequestForKey(r.Int16())
	req.SetVersion(r.Int16())
	r.Int32()
	r.NullableString()
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	return req.ReadFrom(r.Src)
}

// FuzzCheckBatch: a batch that passes has a right checksum again, and its
// records can be walked the careless way.
func FuzzCheckBatch(f *testing.F) {
	f.Add(seedRecords(), int32(2), uint16(0))
	f.Add([]byte{}, int32(0), uint16(8))
	f.Add(seedRecords(), int32(-1), uint16(3))
	f.Fuzz(func(t *testing.T, records []byte, count int32, attributes uint16) {
		batch := seedBatch(records, count, attributes)
		w := produceWalk{guard: newTestGuard(), now: time.UnixMilli(1_700_000_000_000)}
		if w.checkBatch(batch) != nil || attributes&(recordbatch.Control|recordbatch.Codec) != 0 {
			return
		}
		if !recordbatch.Intact(batch) {
			t.Error("the checksum is wrong")
		}
		rest := records
		for range count {
			n, size := binary.Varint(rest)
			rest = rest[n+int64(size):]
		}
	})
}

// seedRecords are two records.
func seedRecords() []byte {
	var out []byte
	for i := range int32(2) {
		r := kmsg.NewRecord()
		r.OffsetDelta = i
		r.Value = []byte("v")
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		out = r.AppendTo(out)
	}
	return out
}

func seedBatch(records []byte, count int32, attributes uint16) []byte {
	b := kmsg.NewRecordBatch()
	b.Length = int32(49 + len(records))
	b.Magic = 2
	b.Attributes = int16(attributes)
	b.LastOffsetDelta = count - 1
	b.NumRecords = count
	b.Records = records
	batch := b.AppendTo(nil)
	recordbatch.Seal(batch)
	return batch
}

// seedProduce is a produce request with one batch.
func seedProduce() []byte {
	req := kmsg.NewPtrProduceRequest()
	t := kmsg.NewProduceRequestTopic()
	t.Topic = "topic"
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = seedBatch(seedRecords(), 2, 0)
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	req.SetVersion(9)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("seed")).AppendRequest(nil, req, 1)[sizeBytes:]
}
