package recordbatch

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// now is a time with whole milliseconds.
var now = time.UnixMilli(1_700_000_000_000)

// encode makes a batch as a client does, with the checksum and the length that belong to it.
func encode(first int64, records int32, payload []byte) []byte {
	b := kmsg.NewRecordBatch()
	b.FirstOffset, b.Magic, b.NumRecords, b.LastOffsetDelta = first, Magic, records, records-1
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = 7, 1, 3
	b.Records = payload
	b.Length = int32(HeaderBytes - lengthEnd + len(payload))
	raw := b.AppendTo(nil)
	Seal(raw)
	return raw
}

// anyBatch draws a batch whose first offset is at least next.
func anyBatch(t *rapid.T, next int64) []byte {
	payload := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "payload")
	return encode(next+rapid.Int64Range(0, 5).Draw(t, "gap"), rapid.Int32Range(1, 9).Draw(t, "records"), payload)
}

// TestFieldsStandWhereTheClientPutsThem compares with the library's own encoding.
func TestFieldsStandWhereTheClientPutsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := anyBatch(t, rapid.Int64Range(0, 1<<60).Draw(t, "next"))
		var b kmsg.RecordBatch
		if err := b.ReadFrom(raw); err != nil {
			t.Fatal(err)
		}
		if First(raw) != b.FirstOffset || LastDelta(raw) != int64(b.LastOffsetDelta) ||
			Attributes(raw) != uint16(b.Attributes) {
			t.Fatalf("offset %d+%d, attributes %d of %+v", First(raw), LastDelta(raw), Attributes(raw), b)
		}
		if Size(raw) != len(raw) || !Intact(raw) || Checksum(raw) != uint32(b.CRC) {
			t.Fatalf("size %d of %d, intact %t", Size(raw), len(raw), Intact(raw))
		}
		NoProducer(raw)
		if err := b.ReadFrom(raw); err != nil || b.ProducerID != -1 || b.ProducerEpoch != -1 || b.FirstSequence != -1 {
			t.Fatalf("the producer is %d/%d/%d, %v", b.ProducerID, b.ProducerEpoch, b.FirstSequence, err)
		}
	})
}

// TestSizeBelievesNobody: whatever stands there, a size is never more than there is.
func TestSizeBelievesNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "raw")
		if size := Size(raw); size != 0 && (size < HeaderBytes || size > len(raw)) {
			t.Fatalf("%d of %d bytes", size, len(raw))
		}
	})
	raw := encode(0, 1, nil)
	for _, length := range []uint32{0, HeaderBytes - lengthEnd - 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, uint32(len(raw))} {
		binary.BigEndian.PutUint32(raw[AtLength:], length)
		if size := Size(raw); size != 0 {
			t.Errorf("a batch that says %d has %d bytes", length, size)
		}
	}
	SetSize(raw, len(raw))
	if Size(raw) != len(raw) {
		t.Errorf("after SetSize it has %d bytes, want %d", Size(raw), len(raw))
	}
}

// TestAFlippedBitIsNotIntact, wherever the checksum covers it.
func TestAFlippedBitIsNotIntact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := anyBatch(t, 0)
		at := rapid.IntRange(AtCRC, len(raw)-1).Draw(t, "byte")
		raw[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if Intact(raw) {
			t.Fatalf("a bit flipped in byte %d goes unseen", at)
		}
		if Seal(raw); !Intact(raw) {
			t.Fatal("a sealed batch is not intact")
		}
	})
}

// TestEndIsBehindTheLastWholeBatch, whatever is cut off, or stands behind.
func TestEndIsBehindTheLastWholeBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var raw []byte
		ends, sizes := []int64{0}, []int{0}
		for range rapid.IntRange(0, 6).Draw(t, "batches") {
			b := anyBatch(t, ends[len(ends)-1])
			raw = append(raw, b...)
			ends, sizes = append(ends, First(b)+LastDelta(b)+1), append(sizes, len(raw))
		}
		cut := rapid.IntRange(0, len(raw)).Draw(t, "cut")
		want := int64(0)
		for i, size := range sizes {
			if size <= cut {
				want = ends[i]
			}
		}
		if got := End(raw[:cut]); got != want {
			t.Fatalf("the end of %d of %d bytes is %d, want %d", cut, len(raw), got, want)
		}
	})
}

// TestSoundAnswers: batches in order, from the offset that was asked for, up to the end.
func TestSoundAnswers(t *testing.T) {
	two := append(encode(10, 3, []byte("a")), encode(13, 2, []byte("b"))...)
	first := Size(two)
	changed := func(change func(raw []byte)) []byte {
		raw := append([]byte(nil), two...)
		change(raw)
		return raw
	}
	for name, test := range map[string]struct {
		records    []byte
		asked, end int64
		sound      bool
	}{
		"nothing":                     {nil, 10, 15, true},
		"from the first on":           {two, 10, 15, true},
		"from the middle of a batch":  {two, 12, 15, true},
		"below, where nothing is":     {two, 3, 15, true},
		"asked for what is behind it": {two, 13, 15, false},
		"beyond the end":              {two, 10, 14, false},
		"cut short":                   {two[:len(two)-1], 10, 15, false},
		"a rest of some bytes":        {append(append([]byte(nil), two...), 0, 0), 10, 15, false},
		"another format":              {changed(func(raw []byte) { raw[AtMagic] = 1 }), 10, 15, false},
		"a leader's epoch":            {changed(func(raw []byte) { raw[AtEpoch+3] = 1 }), 10, 15, false},
		"in the wrong order":          {append(append([]byte(nil), two[first:]...), two[:first]...), 10, 15, false},
		"the same twice":              {append(append([]byte(nil), two[:first]...), two[:first]...), 10, 15, false},
		"offsets that overflow": {changed(func(raw []byte) { binary.BigEndian.PutUint64(raw, 1<<63-1) }), 10, 15,
			false},
		"a flipped bit in a record": {changed(func(raw []byte) { raw[first-1] ^= 4 }), 10, 15, false},
	} {
		if got := Sound(test.records, test.asked, test.end); got != test.sound {
			t.Errorf("%s: sound %t, want %t", name, got, test.sound)
		}
	}
}

// TestMarkerIsSkippedByClients: it is a control batch of one record at its offset, as the
// library reads it.
func TestMarkerIsSkippedByClients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.Int64Range(0, 1<<62).Draw(t, "offset")
		raw := Marker(offset, now)
		if Size(raw) != len(raw) || !Intact(raw) || !Sound(raw, offset, offset+1) || End(raw) != offset+1 {
			t.Fatalf("the marker at %d is no sound batch", offset)
		}
		var b kmsg.RecordBatch
		if err := b.ReadFrom(raw); err != nil {
			t.Fatal(err)
		}
		if b.Attributes != Control|Transactional || b.NumRecords != 1 || b.ProducerID != -1 ||
			b.MaxTimestamp != now.UnixMilli() {
			t.Fatalf("%+v", b)
		}
		var record kmsg.Record
		if err := record.ReadFrom(b.Records); err != nil || len(record.Key) != 4 {
			t.Fatalf("%+v, %v", record, err)
		}
		var key kmsg.ControlRecordKey
		if err := key.ReadFrom(record.Key); err != nil || key.Type != kmsg.ControlRecordKeyTypeCommit {
			t.Fatalf("%+v, %v", key, err)
		}
	})
}
