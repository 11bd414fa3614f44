// Package recordbatch knows Kafka's record batches (format 2) as bytes: where the fields of their headers stand,
// whether they are whole, and which offsets they have. Nothing is decoded and nothing is copied.
package recordbatch

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// Where the fields of a batch's header stand, in bytes. The first offset is at 0.
const (
	AtLength     = 8 // of what follows it
	AtEpoch      = 12
	AtMagic      = 16
	AtCRC        = 17
	AtAttributes = 21 // from here on the checksum covers the batch
	AtLastDelta  = 23
	AtFirstTime  = 27
	AtMaxTime    = 35
	AtProducer   = 43
	AtCount      = 57
	HeaderBytes  = 61
)

// lengthEnd is what of a batch its length does not count.
const lengthEnd = AtLength + 4

// Bits of a batch's attributes.
const (
	Codec         = 0x07
	LogAppendTime = 0x08
	Transactional = 0x10
	Control       = 0x20
)

// Magic is the format that this package knows.
const Magic = 2

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is what a batch's checksum field should hold.
func Checksum(batch []byte) uint32 { return crc32.Checksum(batch[AtAttributes:], castagnoli) }

// Intact reports whether a whole batch fits its checksum.
func Intact(batch []byte) bool { return binary.BigEndian.Uint32(batch[AtCRC:]) == Checksum(batch) }

// Seal renews a batch's checksum.
func Seal(batch []byte) { binary.BigEndian.PutUint32(batch[AtCRC:], Checksum(batch)) }

// Size is how many bytes the batch at the start of raw has by its header, 0 if raw has not as many.
func Size(raw []byte) int {
	if len(raw) < HeaderBytes {
		return 0
	}
	size := lengthEnd + int64(int32(binary.BigEndian.Uint32(raw[AtLength:])))
	if size < HeaderBytes || size > int64(len(raw)) {
		return 0
	}
	return int(size)
}

// SetSize writes how many bytes a batch has.
func SetSize(batch []byte, size int) {
	binary.BigEndian.PutUint32(batch[AtLength:], uint32(size-lengthEnd))
}

// First is the offset of a batch's first record.
func First(batch []byte) int64 { return int64(binary.BigEndian.Uint64(batch)) }

// LastDelta is how much higher the offset of its last record is.
func LastDelta(batch []byte) int64 { return int64(int32(binary.BigEndian.Uint32(batch[AtLastDelta:]))) }

// Attributes are a batch's.
func Attributes(batch []byte) uint16 { return binary.BigEndian.Uint16(batch[AtAttributes:]) }

// End walks whole and sound batches, up to the first that is not, and returns the
// offset behind the last of them, 0 if there is none.
func End(raw []byte) int64 {
	end := int64(0)
	for {
		size := Size(raw)
		if size == 0 || !Intact(raw[:size]) {
			return end
		}
		end = First(raw) + LastDelta(raw) + 1
		raw = raw[size:]
	}
}

// Sound reports whether the batches of an answer to a fetch are whole and as they were written: as their checksums
// say, and in their headers, which these do not cover. They begin at or below the offset that was asked for, unless
// something is missing there, and end below the end of the partition.
func Sound(records []byte, asked, end int64) bool {
	for next := int64(0); len(records) > 0; {
		size := Size(records)
		if size == 0 || !Intact(records[:size]) ||
			records[AtMagic] != Magic || binary.BigEndian.Uint32(records[AtEpoch:]) != 0 {
			return false
		}
		first := First(records)
		behind := first + LastDelta(records) + 1
		if first < next || behind <= first || behind <= asked || behind > end {
			return false
		}
		next, records = behind, records[size:]
	}
	return true
}

// Marker is a batch of one control record at an offset: a transaction marker without a
// transaction, which every client skips.
func Marker(offset int64, now time.Time) []byte {
	record := []byte{
		16 << 1, 0, 0, 0, // length, attributes, time, offset
		4 << 1, 0, 0, 0, 1, // key: version 0, commit
		6 << 1, 0, 0, 0, 0, 0, 0, // value: version 0, coordinator epoch 0
		0, // headers
	}
	record[0] = byte(len(record)-1) << 1
	batch := make([]byte, HeaderBytes, HeaderBytes+len(record))
	binary.BigEndian.PutUint64(batch, uint64(offset))
	SetSize(batch, HeaderBytes+len(record))
	batch[AtMagic] = Magic
	binary.BigEndian.PutUint16(batch[AtAttributes:], Control|Transactional)
	binary.BigEndian.PutUint64(batch[AtFirstTime:], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint64(batch[AtMaxTime:], uint64(now.UnixMilli()))
	NoProducer(batch)
	binary.BigEndian.PutUint32(batch[AtCount:], 1)
	batch = append(batch, record...)
	Seal(batch)
	return batch
}

// NoProducer makes a batch one of a producer that is not idempotent.
func NoProducer(batch []byte) {
	for i := AtProducer; i < AtCount; i++ {
		batch[i] = 0xff
	}
}
