package guard

import (
	"encoding/binary"
	"time"

	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

// lastCodec is the highest compression codec there is (zstd).
const lastCodec = 4

// checkBatch checks the records of one partition in a produce request and sets their time. What the engine itself
// answers with an error code (a wrong checksum, an old format, a control batch) is left alone, so that the client
// gets that answer instead of a closed connection.
//
// The records inside are walked too, decompressed if need be. The engine takes any bytes there, and trusts them
// later: a compaction or a look-up by time over a record whose length is wrong would end the process, and so would a
// few kilobytes that decompress to gigabytes.
//
// A batch of a transaction becomes one that the engine answers with an error: nobody could end the transaction, and
// read_committed readers would wait for that for good.
func (w *produceWalk) checkBatch(batch []byte) error {
	if len(batch) < recordbatch.HeaderBytes || batch[recordbatch.AtMagic] != recordbatch.Magic ||
		!recordbatch.Intact(batch) {
		return nil
	}
	attributes := recordbatch.Attributes(batch)
	if attributes&recordbatch.Control != 0 || attributes&recordbatch.Codec > lastCodec {
		return nil
	}
	if recordbatch.Size(batch) != len(batch) {
		return nil
	}
	count := int32(binary.BigEndian.Uint32(batch[recordbatch.AtCount:]))
	if count < 1 {
		return refuse("a record batch announces %d records", count)
	}
	latest, err := w.guard.unpacker.checkRecords(batch[recordbatch.HeaderBytes:], attributes&recordbatch.Codec, count)
	if err != nil {
		return err
	}
	if attributes&recordbatch.Transactional != 0 {
		attributes |= recordbatch.Control
		binary.BigEndian.PutUint16(batch[recordbatch.AtAttributes:], attributes)
	}
	id := int64(binary.BigEndian.Uint64(batch[recordbatch.AtProducer:]))
	if id >= 0 && !w.guard.producers.admit(id, w.topic, w.partition) {
		recordbatch.NoProducer(batch)
	}
	stampBatch(batch, latest, w.now)
	return nil
}

// stampBatch moves the batch's times so that its latest record is of now, and renews the checksum. This is as near
// as the engine comes to message.timestamp.type=LogAppendTime, which it accepts for a topic and then ignores. It is
// done for all topics, because both of the alternatives lose records: with a client's own times, one record dated
// last month takes all before it along when retention is applied; and a batch in which the client itself has set the
// LogAppendTime bit is stored by the engine with a checksum that no longer fits, and cut off as damaged at the next
// start.
//
// Latest is how many ms after the batch's first time its latest record is. It is what the records say, not what the
// batch announces: readers go by the records' times (docs/DELIVERY.md), and none may be dated after now.
func stampBatch(batch []byte, latest int64, now time.Time) {
	attributes := recordbatch.Attributes(batch)
	ms := now.UnixMilli()
	binary.BigEndian.PutUint16(batch[recordbatch.AtAttributes:], attributes&^recordbatch.LogAppendTime)
	binary.BigEndian.PutUint64(batch[recordbatch.AtFirstTime:], uint64(ms-latest))
	binary.BigEndian.PutUint64(batch[recordbatch.AtMaxTime:], uint64(ms))
	recordbatch.Seal(batch)
}
