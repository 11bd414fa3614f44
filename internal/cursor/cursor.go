package cursor

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Bounds of a cursor. They keep a hostile one from costing more than its own length: [Parse] allocates nothing before
// it has checked them.
const (
	// MaxTextBytes is the longest text that Parse looks at.
	MaxTextBytes = 8 << 10
	// MaxPartitions is the largest number of partitions a cursor can name.
	MaxPartitions = 10_000
	// MaxLaneBytes is the longest lane name in a task's position.
	MaxLaneBytes = 64
)

// Form of the bytes under the base64: version, flags, [log], [lane, partition, offset], then in version 1 the partition
// count and the offsets, each as the signed difference to the one before it, and in version 2 the [Base]. Partitions of
// one topic tend to be about as long as each other, so the differences are shorter than the offsets.
const (
	version1 = 1
	version2 = 2
	hasTask  = 1 << 0
	hasLog   = 1 << 1
)

// ErrInvalid is the root of every error of [Parse].
var ErrInvalid = errors.New("invalid cursor")

// Cursor is a place in the history of all tasks.
type Cursor struct {
	// Log is which log the offsets are of, zero if that is not known, as in cursors of older releases.
	Log LogName
	// Events is the next offset to read of each task-events partition; the index is the partition.
	Events []int64
	// Base is set instead of Events where there are many partitions.
	Base *Base
	// Task is where the record of a task stands on its lane, nil if the cursor is not the answer to a submission.
	Task *TaskPosition
}

// TaskPosition is one record of a lane.
type TaskPosition struct {
	Lane      string
	Partition int32
	Offset    int64
}

// String is the wire form. Offsets below zero and lanes longer than [MaxLaneBytes] do not exist in Kafka; they would be
// refused by [Parse].
func (c Cursor) String() string {
	var room [MaxShortBytes]byte
	return string(c.Append(room[:0]))
}

// Append appends what String returns to b, for who makes one for every event.
func (c Cursor) Append(b []byte) []byte {
	var room [MaxShortBytes]byte
	return base64.RawURLEncoding.AppendEncode(b, c.append(room[:0]))
}

func (c Cursor) append(b []byte) []byte {
	version := byte(version1)
	if c.Base != nil {
		version = version2
	}
	var flags byte
	if c.Task != nil {
		flags |= hasTask
	}
	if c.Log != 0 {
		flags |= hasLog
	}
	b = append(b, version, flags)
	if c.Log != 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(c.Log))
	}
	if c.Task != nil {
		b = binary.AppendUvarint(b, uint64(len(c.Task.Lane)))
		b = append(b, c.Task.Lane...)
		b = binary.AppendUvarint(b, uint64(c.Task.Partition))
		b = binary.AppendUvarint(b, uint64(c.Task.Offset))
	}
	if c.Base != nil {
		return c.Base.append(b)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Events)))
	previous := int64(0)
	for _, offset := range c.Events {
		b = binary.AppendVarint(b, offset-previous)
		previous = offset
	}
	return b
}

// Parse reads the form that [Cursor.String] wrote. Its errors wrap [ErrInvalid] and never quote more than a few bytes
// of the text.
func Parse(text string) (Cursor, error) {
	if text == "" {
		return Cursor{}, fmt.Errorf("%w: it is empty", ErrInvalid)
	}
	if len(text) > MaxTextBytes {
		return Cursor{}, fmt.Errorf("%w: %d bytes, at most %d are possible", ErrInvalid, len(text), MaxTextBytes)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder skips line breaks wherever they stand; a cursor has none.
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return Cursor{}, fmt.Errorf("%w: %.20q is not the text of one, pass it back unchanged", ErrInvalid, text)
	}
	if b[0] != version1 && b[0] != version2 {
		return Cursor{}, fmt.Errorf("%w: version %d, this release reads versions %d and %d", ErrInvalid, b[0], version1,
			version2)
	}
	p := parser{rest: b[1:]}
	c := p.cursor(b[0])
	if p.err == nil && len(p.rest) > 0 {
		p.fail("%d bytes too many", len(p.rest))
	}
	if p.err != nil {
		return Cursor{}, p.err
	}
	return c, nil
}

// parser consumes the bytes; after the first error everything it returns is zero.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) cursor(version byte) Cursor {
	var c Cursor
	flags := p.take(1)
	if p.err != nil {
		return c
	}
	if flags[0]&^(hasTask|hasLog) != 0 {
		p.fail("unknown flags %#x", flags[0])
	}
	if flags[0]&hasLog != 0 {
		c.Log = p.log()
	}
	if flags[0]&hasTask != 0 {
		c.Task = p.task()
	}
	if version == version2 {
		c.Base = p.base()
	} else {
		c.Events = p.events()
	}
	return c
}

func (p *parser) log() LogName {
	name := p.take(logNameBytes)
	if p.err != nil {
		return 0
	}
	log := LogName(binary.BigEndian.Uint32(name))
	if log == 0 {
		p.fail("damaged, pass it back unchanged")
	}
	return log
}

func (p *parser) task() *TaskPosition {
	length := p.uvarint(MaxLaneBytes, "lane length")
	return &TaskPosition{
		Lane:      string(p.take(int(length))),
		Partition: int32(p.uvarint(math.MaxInt32, "task partition")),
		Offset:    int64(p.uvarint(math.MaxInt64, "task offset")),
	}
}

func (p *parser) events() []int64 {
	count := int(p.uvarint(MaxPartitions, "partition count"))
	if p.err == nil && count > len(p.rest) {
		p.fail("cut off: %d partitions in %d bytes", count, len(p.rest))
	}
	if p.err != nil || count == 0 {
		return nil
	}
	offsets := make([]int64, count)
	previous := int64(0)
	for i := range offsets {
		offsets[i] = p.next(previous)
		previous = offsets[i]
	}
	return offsets
}

// next reads one difference and adds it to the previous offset.
func (p *parser) next(previous int64) int64 {
	delta, n := binary.Varint(p.rest)
	if p.err != nil || !p.minimal(n) {
		return 0
	}
	// previous is never negative, so the sum can only overflow upward, to a negative number.
	if previous+delta < 0 {
		p.fail("an offset is out of range")
		return 0
	}
	p.rest = p.rest[n:]
	return previous + delta
}

func (p *parser) uvarint(most uint64, what string) uint64 {
	v, n := binary.Uvarint(p.rest)
	if p.err != nil || !p.minimal(n) {
		return 0
	}
	if v > most {
		p.fail("%s %d, at most %d is possible", what, v, most)
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

// minimal refuses a varint of n bytes that is cut off, too long, or padded: one place has exactly one text, so cursors
// can be compared as strings.
func (p *parser) minimal(n int) bool {
	if n <= 0 || n > 1 && p.rest[n-1] == 0 {
		p.fail("cut off or damaged, pass it back unchanged")
		return false
	}
	return true
}

func (p *parser) take(n int) []byte {
	if p.err != nil {
		return nil
	}
	if n > len(p.rest) {
		p.fail("cut off, pass it back unchanged")
		return nil
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
	}
}
