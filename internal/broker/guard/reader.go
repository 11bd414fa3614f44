package guard

import "encoding/binary"

// reader walks a Kafka message without allocating. After the first read that goes over the end it is bad and every
// later read gives zero, so callers check once at the end of a stretch.
type reader struct {
	src []byte
	bad bool
}

// span takes n bytes; a negative n is over the end too.
func (r *reader) span(n int) []byte {
	if r.bad || n < 0 || n > len(r.src) {
		r.bad = true
		r.src = nil
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

func (r *reader) int16() int16 {
	b := r.span(2)
	if b == nil {
		return 0
	}
	return int16(binary.BigEndian.Uint16(b))
}

func (r *reader) int32() int32 {
	b := r.span(4)
	if b == nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b))
}

// uvarint reads an unsigned number of at most 32 bits.
func (r *reader) uvarint() uint32 {
	n, size := binary.Uvarint(r.src)
	if size <= 0 || size > binary.MaxVarintLen32 || n > 1<<32-1 {
		r.bad = true
		r.src = nil
		return 0
	}
	r.src = r.src[size:]
	return uint32(n)
}

// varint reads a zig-zag number of at most bits (32 or 64) bits.
func (r *reader) varint(bits uint) int64 {
	n, size := binary.Varint(r.src)
	limit := binary.MaxVarintLen64
	if bits == 32 {
		limit = binary.MaxVarintLen32
	}
	if size <= 0 || size > limit || n>>(bits-1) != n>>63 {
		r.bad = true
		r.src = nil
		return 0
	}
	r.src = r.src[size:]
	return n
}

// nullableString skips a string with a 16-bit length, -1 for none.
func (r *reader) nullableString() {
	if n := r.int16(); n >= 0 {
		r.span(int(n))
	}
}

// compactLen reads a compact length: the number plus one, 0 for none (-1).
func (r *reader) compactLen() int { return int(r.uvarint()) - 1 }

// compactNullable skips a compact string or byte array.
func (r *reader) compactNullable() {
	if n := r.compactLen(); n >= 0 {
		r.span(n)
	}
}

// tags skips the tagged fields at the end of a flexible structure. The count is checked against the bytes left, two
// of which the smallest field takes: the decoder believes it, and would turn over 4 billion times for 5 bytes.
func (r *reader) tags() {
	n := r.uvarint()
	if int64(n) > int64(len(r.src))/2 {
		r.bad = true
		return
	}
	for range n {
		r.uvarint()
		r.span(int(r.uvarint()))
		if r.bad {
			return
		}
	}
}
