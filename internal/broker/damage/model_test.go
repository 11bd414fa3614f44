package damage

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker/logdir"
	"github.com/aiecs/tasklane/internal/broker/recordbatch"
	"github.com/aiecs/tasklane/internal/logtest"
)

// inspected is when tests look at their directories.
var inspected = time.UnixMilli(1_700_000_000_000)

// store is a directory as the engine leaves it, and what a test knows of it: one partition
// of one topic.
type store struct {
	dir     string
	topic   persistedTopic
	batches []stored
	end     int64 // of the next record
	log     *logtest.Buffer
}

// stored is a batch, and where it stands.
type stored struct {
	raw  []byte
	file string
	at   int
}

func (b stored) first() int64 { return recordbatch.First(b.raw) }
func (b stored) end() int64   { return b.first() + recordbatch.LastDelta(b.raw) + 1 }

const testTopicID = "AAAAAAAAAAAAAAAAAAAAAQ==" // as the engine writes one

// newStore writes segments of a few batches each. A compacted topic has gaps between them.
func newStore(t testing.TB, rng *rand.Rand, compacted bool) *store {
	t.Helper()
	s := &store{
		dir: t.TempDir(), log: new(logtest.Buffer),
		topic: persistedTopic{Name: "tasks.fast", ID: testTopicID, Partitions: 1, Replicas: 1},
	}
	if compacted {
		s.topic.Configs = map[string]string{"cleanup.policy": "compact"}
	}
	for range 1 + rng.IntN(3) {
		base, raw := s.end, []byte(nil)
		file := logdir.SegmentFile(s.partition().Path(s.dir), base, logdir.SegmentSuffix)
		for n := range 1 + rng.IntN(5) {
			first := s.end
			if compacted && n > 0 { // a segment's first batch has the offset of its name
				first += rng.Int64N(4)
			}
			b := stored{raw: batchOf(first, 1+rng.Int32N(3), rng), file: file, at: len(raw)}
			raw = append(raw, b.raw...)
			s.batches, s.end = append(s.batches, b), b.end()
		}
		write(t, file, raw)
		write(t, strings.TrimSuffix(file, logdir.SegmentSuffix)+logdir.IndexSuffix, []byte("index"))
	}
	s.writeTopics(t, s.topic)
	return s
}

func (s *store) partition() logdir.Partition { return logdir.Partition{Topic: s.topic.Name} }

// batchOf is a batch with records whose bytes no search mistakes for a batch.
func batchOf(first int64, records int32, rng *rand.Rand) []byte {
	b := kmsg.NewRecordBatch()
	b.FirstOffset, b.Magic, b.NumRecords, b.LastOffsetDelta = first, recordbatch.Magic, records, records-1
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = -1, -1, -1
	b.Records = make([]byte, 10+rng.IntN(60))
	for i := range b.Records {
		b.Records[i] = byte(rng.Uint32())
	}
	raw := b.AppendTo(nil)
	recordbatch.SetSize(raw, len(raw))
	recordbatch.Seal(raw)
	return raw
}

// writeTopics writes the engine's list.
func (s *store) writeTopics(t testing.TB, topics ...persistedTopic) {
	t.Helper()
	text, err := json.Marshal(persistedTopics{Version: 1, Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, topicsFile), text)
}

// note notes the ends as they are, as a broker does while it runs.
func (s *store) note(t testing.TB) {
	t.Helper()
	ends := func() map[string]End {
		return map[string]End{s.partition().Name(): {TopicID: s.topic.ID, Offset: s.end}}
	}
	if err := NewNotes(s.dir).Write(ends, true); err != nil {
		t.Fatal(err)
	}
}

// inspect looks at the directory.
func (s *store) inspect() error {
	return Inspect(s.dir, slog.New(slog.NewTextHandler(s.log, nil)), inspected)
}

func (s *store) mustInspect(t testing.TB) {
	t.Helper()
	if err := s.inspect(); err != nil {
		t.Fatalf("inspect: %v", err)
	}
}

// read walks all segments as the engine does. Every byte of them has to be of a batch that
// is sound, and offsets have to rise.
func (s *store) read(t testing.TB) (batches []stored, end int64) {
	t.Helper()
	dir := s.partition().Path(s.dir)
	bases, err := logdir.SegmentBases(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range bases {
		file := logdir.SegmentFile(dir, base, logdir.SegmentSuffix)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(raw); {
			size := recordbatch.Size(raw[at:])
			if size == 0 || !recordbatch.Intact(raw[at:at+size]) {
				t.Fatalf("%s has damage at byte %d of %d", file, at, len(raw))
			}
			b := stored{raw: raw[at : at+size], file: file, at: at}
			if b.first() < end {
				t.Fatalf("%s: offset %d stands behind %d", file, b.first(), end-1)
			}
			batches, end, at = append(batches, b), b.end(), at+size
		}
	}
	return batches, end
}

// missing are the batches that were there and are no longer, by their bytes.
func (s *store) missing(now []stored) []stored {
	there := make(map[string]bool, len(now))
	for _, b := range now {
		there[string(b.raw)] = true
	}
	var out []stored
	for _, b := range s.batches {
		if !there[string(b.raw)] {
			out = append(out, b)
		}
	}
	return out
}

// files are the contents of all files, but for what is kept of damaged ones.
func (s *store) files(t testing.TB) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(s.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(path, damagedDir) {
			return err
		}
		text, err := os.ReadFile(path)
		out[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kept are the files that were kept because they were damaged.
func (s *store) kept(t testing.TB) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(s.dir, damagedDir), func(path string, e os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && !e.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// change rewrites a file by what change makes of it.
func change(t testing.TB, path string, change func(raw []byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, change(raw))
}

// seeds are those of the stores that a test damages.
func seeds(t *testing.T, n uint64, test func(t *testing.T, rng *rand.Rand)) {
	t.Helper()
	for seed := range n {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { test(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}
