package guard

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/broker/recordbatch"
	"github.com/aiecs/tasklane/internal/logtest"
)

// anyRecords draws the records of a batch as a client encodes them, and how late the latest
// is.
func anyRecords(t *rapid.T) (raw []byte, count int32, latest int64) {
	count = rapid.Int32Range(1, 6).Draw(t, "records")
	for i := range count {
		r := kmsg.NewRecord()
		r.OffsetDelta = i
		r.TimestampDelta64 = rapid.Int64Range(-1000, 1<<40).Draw(t, "time")
		r.Key = rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "key")
		if rapid.Bool().Draw(t, "has a value") {
			r.Value = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "value")
		}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, kmsg.Header{Key: "h", Value: []byte("v")})
		}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		raw = r.AppendTo(raw)
		latest = max(latest, r.TimestampDelta64)
	}
	return raw, count, latest
}

// TestRecordsThatClientsWritePass, and the latest of their times is found.
func TestRecordsThatClientsWritePass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, count, latest := anyRecords(t)
		got, err := checkRecords(raw, count)
		if err != nil || got != latest {
			t.Fatalf("%d, %v; want %d", got, err, latest)
		}
		for _, wrong := range []int32{count - 1, count + 1} {
			if _, err := checkRecords(raw, wrong); err == nil {
				t.Fatalf("%d records pass as %d", count, wrong)
			}
		}
		if _, err := checkRecords(raw[:len(raw)-1], count); err == nil {
			t.Fatal("records that end early pass")
		}
		if _, err := checkRecords(append(bytes.Clone(raw), 0), count); err == nil {
			t.Fatal("records with a byte behind them pass")
		}
	})
}

// pack compresses with a codec's own library.
func pack(t testing.TB, codec uint16, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch codec {
	case codecGzip:
		w = gzip.NewWriter(&out)
	case codecLZ4:
		w = lz4.NewWriter(&out)
	case codecZstd:
		var err error
		if w, err = zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1)); err != nil {
			t.Fatal(err)
		}
	case codecSnappy:
		return s2.EncodeSnappy(nil, raw)
	default:
		return raw
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// javaFramed is what the Java client makes of snappy: blocks with their lengths.
func javaFramed(blocks ...[]byte) []byte {
	out := append([]byte(javaSnappy), 0, 0, 0, 1, 0, 0, 0, 1)
	for _, block := range blocks {
		packed := s2.EncodeSnappy(nil, block)
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(packed))), packed...)
	}
	return out
}

// TestEveryCodec: what was packed is checked as if it had not been.
func TestEveryCodec(t *testing.T) {
	u := newUnpacker()
	rapid.Check(t, func(rt *rapid.T) {
		raw, count, latest := anyRecords(rt)
		for codec := uint16(codecNone); codec <= lastCodec; codec++ {
			packed := pack(t, codec, raw)
			if got, err := u.checkRecords(packed, codec, count); err != nil || got != latest {
				rt.Fatalf("codec %d: %d, %v; want %d", codec, got, err, latest)
			}
			if codec == codecNone {
				continue
			}
			cut := rapid.IntRange(0, len(packed)-1).Draw(rt, "cut")
			if _, err := u.checkRecords(packed[:cut], codec, count); err == nil {
				rt.Fatalf("codec %d: %d of %d bytes pass", codec, cut, len(packed))
			}
		}
		half := len(raw) / 2
		if got, err := u.checkRecords(javaFramed(raw[:half], raw[half:]), codecSnappy, count); err != nil || got != latest {
			rt.Fatalf("in the Java client's framing: %d, %v", got, err)
		}
	})
	if _, err := u.checkRecords([]byte("x"), 7, 1); err == nil {
		t.Error("an unknown codec passes")
	}
}

// TestNoiseIsRefused whatever the codec, without a panic, and every turn is given back.
func TestNoiseIsRefused(t *testing.T) {
	u := newUnpacker()
	rapid.Check(t, func(t *rapid.T) {
		noise := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "noise")
		if rapid.Bool().Draw(t, "framed") {
			noise = append([]byte(javaSnappy), noise...)
		}
		_, _ = u.checkRecords(noise, uint16(rapid.IntRange(1, 5).Draw(t, "codec")), 1)
		if len(u.turns) != 0 || len(u.big) != 0 {
			t.Fatalf("%d turns and %d of the big are still taken", len(u.turns), len(u.big))
		}
	})
}

// TestBombs: what would unfold to more than the limit is refused, by each codec.
func TestBombs(t *testing.T) {
	u, zeros := newUnpacker(), make([]byte, MaxBatchBytes+1)
	for _, codec := range []uint16{codecGzip, codecSnappy, codecLZ4, codecZstd} {
		if _, err := u.checkRecords(pack(t, codec, zeros), codec, 1); err == nil {
			t.Errorf("codec %d: %d bytes of zeros pass", codec, len(zeros))
		}
	}
	half := zeros[:MaxBatchBytes/2+1]
	if _, err := u.checkRecords(javaFramed(half, half), codecSnappy, 1); err == nil || !strings.Contains(err.Error(),
		"more than") {
		t.Errorf("two blocks, too much together: %v", err)
	}
	if len(u.turns) != 0 || len(u.big) != 0 {
		t.Errorf("%d turns and %d of the big are still taken", len(u.turns), len(u.big))
	}
}

// TestBatchesAreOfTheirArrival: whatever a client says of the time, the latest record is of
// now, and the distances between them stay.
func TestBatchesAreOfTheirArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, count, latest := anyRecords(t)
		batch := seedBatch(raw, count, uint16(rapid.SampledFrom([]int{0, recordbatch.LogAppendTime}).Draw(t, "attributes")))
		binary.BigEndian.PutUint64(batch[recordbatch.AtFirstTime:], rapid.Uint64().Draw(t, "first time"))
		recordbatch.Seal(batch)
		w := produceWalk{guard: newTestGuard(), now: noTime}
		if err := w.checkBatch(batch); err != nil {
			t.Fatal(err)
		}
		var b kmsg.RecordBatch
		if err := b.ReadFrom(batch); err != nil || !recordbatch.Intact(batch) {
			t.Fatalf("%v, intact %t", err, recordbatch.Intact(batch))
		}
		if b.MaxTimestamp != noTime.UnixMilli() || b.FirstTimestamp+latest != noTime.UnixMilli() {
			t.Fatalf("the batch is of %d to %d, the latest record %d later; now is %d", b.FirstTimestamp, b.MaxTimestamp,
				latest, noTime.UnixMilli())
		}
		if b.Attributes&recordbatch.LogAppendTime != 0 || !bytes.Equal(b.Records, raw) {
			t.Fatal("more than the time was changed")
		}
	})
}

// TestBatchesThatTheEngineAnswers are left alone: it has an error for them.
func TestBatchesThatTheEngineAnswers(t *testing.T) {
	for name, change := range map[string]func(batch []byte){
		"an old format":         func(b []byte) { b[recordbatch.AtMagic] = 1 },
		"a wrong checksum":      func(b []byte) { b[len(b)-1] ^= 1 },
		"a wrong length":        func(b []byte) { recordbatch.SetSize(b, len(b)+1) },
		"a control batch":       func(b []byte) { b[recordbatch.AtAttributes+1] |= recordbatch.Control; recordbatch.Seal(b) },
		"a codec yet to come":   func(b []byte) { b[recordbatch.AtAttributes+1] |= 7; recordbatch.Seal(b) },
		"shorter than a header": func([]byte) {},
	} {
		batch := seedBatch(seedRecords(), 2, 0)
		change(batch)
		if name == "shorter than a header" {
			batch = batch[:20]
		}
		before := bytes.Clone(batch)
		w := produceWalk{guard: newTestGuard(), now: noTime}
		if err := w.checkBatch(batch); err != nil || !bytes.Equal(batch, before) {
			t.Errorf("%s: %v, changed %t", name, err, !bytes.Equal(batch, before))
		}
	}
}

// TestTransactionsBecomeWhatTheEngineRefuses.
func TestTransactionsBecomeWhatTheEngineRefuses(t *testing.T) {
	batch := seedBatch(seedRecords(), 2, recordbatch.Transactional)
	w := produceWalk{guard: newTestGuard(), now: noTime}
	if err := w.checkBatch(batch); err != nil || recordbatch.Attributes(batch)&recordbatch.Control == 0 ||
		!recordbatch.Intact(batch) {
		t.Errorf("%v, attributes %x", err, recordbatch.Attributes(batch))
	}
}

// TestProducersAreBounded: above the bound a batch is taken as one of a producer that is not
// idempotent, and the log says so once.
func TestProducersAreBounded(t *testing.T) {
	log := new(logtest.Buffer)
	p := newProducers(slog.New(slog.NewTextHandler(log, nil)))
	for id := range int64(maxWindows) {
		if !p.admit(id, []byte("t"), 0) {
			t.Fatalf("producer %d is not admitted", id)
		}
	}
	for id := range int64(3) {
		if p.admit(maxWindows+id, []byte("t"), 0) {
			t.Errorf("producer %d is admitted", maxWindows+id)
		}
		if !p.admit(id, []byte("t"), 0) {
			t.Errorf("producer %d, which is known, is not admitted", id)
		}
	}
	if p.admit(0, []byte("t"), 1) || p.admit(0, []byte("u"), 0) {
		t.Error("another partition of a known producer is admitted")
	}
	if n := strings.Count(log.String(), "too many idempotent producers"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
}

// TestProducersGetIDs of their own, none for a transaction.
func TestProducersGetIDs(t *testing.T) {
	seen := map[int64]bool{}
	for range 1000 {
		resp := initProducer(kmsg.NewPtrInitProducerIDRequest()).(*kmsg.InitProducerIDResponse)
		if resp.ProducerID < 0 || seen[resp.ProducerID] {
			t.Fatalf("id %d, given before: %t", resp.ProducerID, seen[resp.ProducerID])
		}
		seen[resp.ProducerID] = true
	}
}

// TestOptionsOfTopics: those with which the engine would fail, now or at its next start.
func TestOptionsOfTopics(t *testing.T) {
	text := func(s string) *string { return &s }
	for name, test := range map[string]struct {
		options []option
		taken   bool
	}{
		"none":                  {nil, true},
		"usual ones":            {[]option{{"retention.ms", text("604800000")}, {"cleanup.policy", text("delete")}}, true},
		"kept for ever":         {[]option{{"retention.ms", text("-1")}, {"retention.bytes", text("-1")}}, true},
		"both policies":         {[]option{{"cleanup.policy", text("compact,delete")}}, true},
		"one without a value":   {[]option{{"segment.bytes", nil}}, true},
		"one of Apache Kafka's": {[]option{{"min.insync.replicas", text("2")}}, true},
		"the smallest segments": {[]option{{"segment.bytes", text(fmt.Sprint(minSegmentBytes))}}, true},
		"smaller ones":          {[]option{{"segment.bytes", text(fmt.Sprint(minSegmentBytes - 1))}}, false},
		"no number":             {[]option{{"retention.ms", text("7d")}}, false},
		"below minus one":       {[]option{{"retention.ms", text("-2")}}, false},
		"beyond 64 bits":        {[]option{{"segment.ms", text("9999999999999999999")}}, false},
		"messages of any size":  {[]option{{"max.message.bytes", text(fmt.Sprint(maxProduceBytes + 1))}}, false},
		"another policy":        {[]option{{"cleanup.policy", text("compact, delete")}}, false},
		"a long value":          {[]option{{"x", text(strings.Repeat("v", maxOptionBytes+1))}}, false},
		"a long name":           {[]option{{strings.Repeat("n", maxName+1), text("v")}}, false},
		"very many":             {make([]option, maxOptions+1), false},
	} {
		if problem := checkOptions(test.options); (problem == "") != test.taken {
			t.Errorf("%s: %q", name, problem)
		}
	}
}

// TestRequestsThatDoHarm are refused, or answered where a client understands it.
func TestRequestsThatDoHarm(t *testing.T) {
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group = strings.Repeat("g", maxName+1)
	join.Protocols = append(join.Protocols, kmsg.NewJoinGroupRequestProtocol())
	pattern := strings.Repeat("(a+)+", maxPattern)
	beat := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	beat.SubscribedTopicRegex, beat.Group = &pattern, "g"
	long := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	long.Group = join.Group
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group = join.Group
	describe := kmsg.NewPtrDescribeConfigsRequest()
	describe.Resources = make([]kmsg.DescribeConfigsRequestResource, maxDescribed+1)
	times := kmsg.NewPtrListOffsetsRequest()
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Partitions = make([]kmsg.ListOffsetsRequestTopicPartition, maxTimeLookups+1)
	times.Topics = append(times.Topics, topic)
	path := kmsg.NewPtrCreateTopicsRequest()
	path.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "../x", NumPartitions: 1, ReplicationFactor: 1}}
	for name, req := range map[string]kmsg.Request{
		"a group's long name": join, "a pattern without end": beat, "a long name under KIP-848": long,
		"a commit for a long name": commit, "descriptions of everything": describe, "look-ups of many times": times,
		"a path": path,
	} {
		var refused *frameError
		if _, err := newTestGuard().checkDecoded(checked{req: req}); !errors.As(err, &refused) {
			t.Errorf("%s passes: %v", name, err)
		}
	}
	for i := range topic.Partitions {
		topic.Partitions[i].Timestamp = -1 // the end, which costs nothing
	}
	if err := checkListOffsets(times); err != nil {
		t.Errorf("the ends of many partitions: %v", err)
	}
	tx := "tx"
	producer := kmsg.NewPtrInitProducerIDRequest()
	producer.TransactionalID = &tx
	resp, err := newTestGuard().checkDecoded(checked{req: producer})
	if got, ok := resp.(*kmsg.InitProducerIDResponse); err != nil || !ok || got.ErrorCode == 0 || got.ProducerID != -1 {
		t.Errorf("a transactional producer is answered with %+v, %v", resp, err)
	}
}

// TestDamageIsToldOnce: the first of it ends what serves the log.
func TestDamageIsToldOnce(t *testing.T) {
	g := newTestGuard()
	for range 3 {
		g.isDamaged("tasks.fast", 3)
	}
	if err := <-g.Damaged(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(),
		"partition 3 of topic tasks.fast") {
		t.Errorf("got %v", err)
	}
	select {
	case err := <-g.Damaged():
		t.Errorf("it is told again: %v", err)
	case <-time.After(0):
	}
	if g.isGone("tasks.fast", 0) {
		t.Error("in memory a partition has lost its files")
	}
}
