package guard

// checkRecords walks the records of a batch and checks that they are count records, numbered from 0, that use up the
// bytes exactly. It returns how many ms after the batch's first time its latest record is.
func checkRecords(src []byte, count int32) (latest int64, err error) {
	r := reader{src: src}
	for i := range count {
		n := r.varint(32)
		record := reader{src: r.span(int(n))}
		after, ok := checkRecord(&record, int64(i))
		if r.bad || !ok {
			return 0, refuse("record %d of a batch of %d is malformed", i, count)
		}
		latest = max(latest, after)
	}
	if len(r.src) > 0 {
		return 0, refuse("a batch of %d records has %d bytes too many", count, len(r.src))
	}
	return latest, nil
}

// checkRecord reports whether r holds one record with this offset in its batch,
// and nothing after it, and how many ms after the batch's first time it is.
func checkRecord(r *reader, offset int64) (after int64, ok bool) {
	r.span(1) // attributes, unused
	after = r.varint(64)
	if r.varint(32) != offset {
		return 0, false
	}
	varBytes(r) // key
	varBytes(r) // value
	headers := r.varint(32)
	if headers < 0 || headers > int64(len(r.src))/2 {
		return 0, false
	}
	for range headers {
		r.span(int(r.varint(32))) // a header's key may not be null
		varBytes(r)
		if r.bad {
			return 0, false
		}
	}
	return after, !r.bad && len(r.src) == 0
}

// varBytes skips bytes with a zig-zag length, -1 for none.
func varBytes(r *reader) {
	if n := r.varint(32); n != -1 {
		r.span(int(n))
	}
}
