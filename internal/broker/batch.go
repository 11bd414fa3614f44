package broker

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// Where the fields of a record batch (format 2) stand, in bytes.
const (
	atBatchLength     = 8
	atBatchMagic      = 16
	atBatchCRC        = 17
	atBatchAttributes = 21
	atBatchLastDelta  = 23
	atBatchFirstTime  = 27
	atBatchMaxTime    = 35
	atBatchCount      = 57
	batchHeaderBytes  = 61
)

// Bits of a batch's attributes.
const (
	batchCodec         = 0x07
	batchLogAppendTime = 0x08
	batchTransactional = 0x10
	batchControl       = 0x20
)

// lastCodec is the highest compression codec there is (zstd).
const lastCodec = 4

// checksum is what a batch's checksum field should hold.
func checksum(batch []byte) uint32 {
	return crc32.Checksum(batch[atBatchAttributes:], crc32.MakeTable(crc32.Castagnoli))
}

// checkBatch checks the records of one partition in a produce request and sets
// their time. What the engine itself answers with an error code (a wrong
// checksum, an old format, a control batch) is left alone, so that the client
// gets that answer instead of a closed connection.
//
// The records inside are walked too, decompressed if need be. The engine takes
// any bytes there, and trusts them later: a compaction or a look-up by time over
// a record whose length is wrong would end the process, and so would a few
// kilobytes that decompress to gigabytes.
func checkBatch(batch []byte, now time.Time) error {
	if len(batch) < batchHeaderBytes || batch[atBatchMagic] != 2 ||
		binary.BigEndian.Uint32(batch[atBatchCRC:]) != checksum(batch) {
		return nil
	}
	attributes := binary.BigEndian.Uint16(batch[atBatchAttributes:])
	if attributes&batchControl != 0 || attributes&batchCodec > lastCodec {
		return nil
	}
	if length := binary.BigEndian.Uint32(batch[atBatchLength:]); int64(length) != int64(len(batch))-12 {
		return nil
	}
	count := int32(binary.BigEndian.Uint32(batch[atBatchCount:]))
	if count < 1 {
		return refuse("a record batch announces %d records", count)
	}
	records, err := decompress(batch[batchHeaderBytes:], attributes&batchCodec)
	if err != nil {
		return refuse("a record batch does not decompress: %v", err)
	}
	if err := checkRecords(records, count); err != nil {
		return err
	}
	stampBatch(batch, now)
	return nil
}

// stampBatch moves the batch's times so that its latest record is of now, and
// renews the checksum. This is as near as the engine comes to
// message.timestamp.type=LogAppendTime, which it accepts for a topic and then
// ignores. It is done for all topics, because both of the alternatives lose
// records: with a client's own times, one record dated last month takes all
// before it along when retention is applied; and a batch in which the client
// itself has set the LogAppendTime bit is stored by the engine with a checksum
// that no longer fits, and cut off as damaged at the next start.
func stampBatch(batch []byte, now time.Time) {
	attributes := binary.BigEndian.Uint16(batch[atBatchAttributes:])
	first := int64(binary.BigEndian.Uint64(batch[atBatchFirstTime:]))
	latest := int64(binary.BigEndian.Uint64(batch[atBatchMaxTime:]))
	ms := now.UnixMilli()
	binary.BigEndian.PutUint16(batch[atBatchAttributes:], attributes&^batchLogAppendTime)
	binary.BigEndian.PutUint64(batch[atBatchFirstTime:], uint64(ms-max(latest-first, 0)))
	binary.BigEndian.PutUint64(batch[atBatchMaxTime:], uint64(ms))
	binary.BigEndian.PutUint32(batch[atBatchCRC:], checksum(batch))
}
