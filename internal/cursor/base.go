package cursor

import (
	"encoding/binary"
	"math"
)

const (
	// MaxExact is the largest number of partitions for which a cursor names every offset. With more of them it has a
	// [Base], so that it stays short.
	MaxExact = 40
	// MaxPlaces is how many places a base can have. A cursor with that many has at most [MaxShortBytes] while offsets
	// are below 2^40.
	MaxPlaces = 40
	// MaxShortBytes is the longest text of a cursor with at most MaxExact partitions or with a base.
	MaxShortBytes = 512
)

// Base is a place in many partitions in few bytes: where each was at a time, and exact offsets for some.
type Base struct {
	// Time is milliseconds since 1970. A partition that has no place begins at its first record that the broker took at
	// this time or later.
	Time int64
	// Partitions is how many there were; later ones begin at their start.
	Partitions int
	// Sum is what the offsets at Time add up to over all partitions. Deleted records, and clocks of brokers that go
	// back, can only raise an offset that is looked up again: if the sum is the same, each of them is.
	Sum int64
	// Places are the exact ones, ascending by partition.
	Places []Place
}

// Place is the next offset to read of a partition.
type Place struct {
	Partition int32
	Next      int64
}

// append appends time, count, sum, and the places: how many, then for each the partitions passed over and the signed
// difference to the offset before it.
func (b *Base) append(to []byte) []byte {
	to = binary.AppendUvarint(to, uint64(b.Time))
	to = binary.AppendUvarint(to, uint64(b.Partitions))
	to = binary.AppendUvarint(to, uint64(b.Sum))
	to = binary.AppendUvarint(to, uint64(len(b.Places)))
	after, offset := int32(0), int64(0)
	for _, p := range b.Places {
		to = binary.AppendUvarint(to, uint64(p.Partition-after))
		to = binary.AppendVarint(to, p.Next-offset)
		after, offset = p.Partition+1, p.Next
	}
	return to
}

func (p *parser) base() *Base {
	b := &Base{
		Time:       int64(p.uvarint(math.MaxInt64, "time")),
		Partitions: int(p.uvarint(MaxPartitions, "partition count")),
		Sum:        int64(p.uvarint(math.MaxInt64, "sum")),
	}
	count := int(p.uvarint(MaxPlaces, "count of places"))
	after, offset := uint64(0), int64(0)
	for range count {
		passed := p.uvarint(MaxPartitions, "partition")
		offset = p.next(offset)
		if after+passed >= uint64(b.Partitions) {
			p.fail("a place in partition %d of %d", after+passed, b.Partitions)
		}
		if p.err != nil {
			return nil
		}
		b.Places = append(b.Places, Place{int32(after + passed), offset})
		after += passed + 1
	}
	return b
}
