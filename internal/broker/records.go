package broker

// checkRecords walks the records of a batch and checks that they are count
// records, numbered from 0, that use up the bytes exactly.
func checkRecords(src []byte, count int32) error {
	r := reader{src: src}
	for i := range count {
		n := r.varint(32)
		record := reader{src: r.span(int(n))}
		if r.bad || !checkRecord(&record, int64(i)) {
			return refuse("record %d of a batch of %d is malformed", i, count)
		}
	}
	if len(r.src) > 0 {
		return refuse("a batch of %d records has %d bytes too many", count, len(r.src))
	}
	return nil
}

// checkRecord reports whether r holds one record with this offset in its batch,
// and nothing after it.
func checkRecord(r *reader, offset int64) bool {
	r.span(1)    // attributes, unused
	r.varint(64) // time
	if r.varint(32) != offset {
		return false
	}
	varBytes(r) // key
	varBytes(r) // value
	headers := r.varint(32)
	if headers < 0 || headers > int64(len(r.src))/2 {
		return false
	}
	for range headers {
		r.span(int(r.varint(32))) // a header's key may not be null
		varBytes(r)
		if r.bad {
			return false
		}
	}
	return !r.bad && len(r.src) == 0
}

// varBytes skips bytes with a zig-zag length, -1 for none.
func varBytes(r *reader) {
	if n := r.varint(32); n != -1 {
		r.span(int(n))
	}
}
