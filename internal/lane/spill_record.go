package lane

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// appendRecord writes a record as it lies in its spill file: numbers as varints, and
// texts with their length before them. A take-over writes a million of them, and
// JSON took more time than the disk.
func appendRecord(b []byte, r *kgo.Record) []byte {
	text := func(t []byte) { b = append(binary.AppendUvarint(b, uint64(len(t))), t...) }
	text([]byte(r.Topic))
	b = binary.AppendVarint(b, int64(r.Partition))
	b = binary.AppendVarint(b, r.Offset)
	b = binary.AppendVarint(b, r.Timestamp.UnixMilli())
	text(r.Key)
	text(r.Value)
	b = binary.AppendUvarint(b, uint64(len(r.Headers)))
	for i := range r.Headers {
		text([]byte(r.Headers[i].Key))
		text(r.Headers[i].Value)
	}
	return b
}

var errCutRecord = errors.New("it is cut short")

// readRecord reads what appendRecord has written. The record refers to b.
func readRecord(b []byte) (*kgo.Record, error) {
	r := spillReader{rest: b}
	record := &kgo.Record{
		Topic: string(r.text()), Partition: int32(r.number()), Offset: r.number(),
		Timestamp: time.UnixMilli(r.number()), Key: r.text(), Value: r.text(),
	}
	for n := r.size(); n > 0 && !r.cut; n-- {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: string(r.text()), Value: r.text()})
	}
	if r.cut {
		return nil, errCutRecord
	}
	return record, nil
}

type spillReader struct {
	rest []byte
	cut  bool
}

func (r *spillReader) number() int64 {
	n, size := binary.Varint(r.rest)
	r.skip(size)
	return n
}

func (r *spillReader) size() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.skip(size)
	return n
}

func (r *spillReader) text() []byte {
	n := r.size()
	if n > uint64(len(r.rest)) {
		r.cut, r.rest = true, nil
		return nil
	}
	t := r.rest[:n:n]
	r.rest = r.rest[n:]
	return t
}

func (r *spillReader) skip(size int) {
	if size <= 0 {
		r.cut, r.rest = true, nil
		return
	}
	r.rest = r.rest[size:]
}
