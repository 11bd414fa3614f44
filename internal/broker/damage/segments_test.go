package damage

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/broker/logdir"
	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

// TestSoundStoresAreLeftAlone: nothing is rewritten, nothing is kept aside, nothing is said.
func TestSoundStoresAreLeftAlone(t *testing.T) {
	seeds(t, 20, func(t *testing.T, rng *rand.Rand) {
		s := newStore(t, rng, rng.IntN(2) == 0)
		if rng.IntN(2) == 0 {
			s.note(t)
		}
		s.mustInspect(t)
		if now, end := s.read(t); len(s.missing(now)) > 0 || len(now) != len(s.batches) || end != s.end {
			t.Errorf("%d of %d batches are there, up to %d of %d", len(now), len(s.batches), end, s.end)
		}
		if kept := s.kept(t); len(kept) > 0 || s.log.String() != "" {
			t.Errorf("kept %v, said %s", kept, s.log)
		}
	})
}

// TestAFlippedBitLosesABatchAtMost: all others are there as they were, what is lost is named
// with its offsets, the file is kept as it was, and a second look finds nothing to do.
func TestAFlippedBitLosesABatchAtMost(t *testing.T) {
	seeds(t, 120, func(t *testing.T, rng *rand.Rand) {
		s := newStore(t, rng, rng.IntN(3) == 0)
		if rng.IntN(2) == 0 {
			s.note(t)
		}
		hit := s.batches[rng.IntN(len(s.batches))]
		at := rng.IntN(len(hit.raw))
		var damaged []byte
		change(t, hit.file, func(raw []byte) []byte {
			raw[hit.at+at] ^= 1 << rng.IntN(8)
			damaged = bytes.Clone(raw)
			return raw
		})
		s.mustInspect(t)
		now, end := s.read(t)
		missing := s.missing(now)
		for _, b := range missing {
			if !bytes.Equal(b.raw, hit.raw) {
				t.Errorf("the batch at offset %d is lost, and a bit of that at %d was flipped", b.first(), hit.first())
			}
		}
		if end < s.end {
			t.Errorf("the next record gets offset %d, and %d was in use", end, s.end-1)
		}
		// A bit of the header that the checksum does not cover says nothing by itself: the first
		// offset of a compacted topic may as well be another.
		if len(missing) == 0 && at >= recordbatch.AtCRC {
			t.Errorf("byte %d of the batch is covered by its checksum, and the batch is believed", at)
		}
		if len(missing) > 0 && !moved(hit, now) {
			for _, part := range []string{"level=ERROR", "topic=tasks.fast", "partition=0", "first_lost_offset=",
				"status=lost"} {
				if !strings.Contains(s.log.String(), part) {
					t.Errorf("the log does not say %s: %s", part, s.log)
				}
			}
		}
		if kept := s.kept(t); s.log.String() != "" {
			if len(kept) != 1 {
				t.Fatalf("kept are %v", kept)
			}
			if raw, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(raw, damaged) {
				t.Errorf("the damaged file was not kept as it was: %v", err)
			}
		}
		s.mustBeStable(t)
	})
}

// moved reports whether a batch is there under another offset, as it may be in a compacted
// topic: one bit of the offset, which has no checksum, can make it another that fits.
func moved(b stored, now []stored) bool {
	return slices.ContainsFunc(now, func(other stored) bool { return bytes.Equal(other.raw[8:], b.raw[8:]) })
}

// mustBeStable looks again, which finds what the look before has left as it is.
func (s *store) mustBeStable(t testing.TB) {
	t.Helper()
	before, said := s.files(t), s.log.String()
	s.mustInspect(t)
	for path, text := range s.files(t) {
		if before[path] != text {
			t.Errorf("a second look changes %s", path)
		}
	}
	if s.log.String() != said {
		t.Errorf("a second look says %s", strings.TrimPrefix(s.log.String(), said))
	}
}

// TestHeadersArePutRight: the first 21 bytes of a batch have no checksum. Where only one bit
// is wrong and the rest says how it was, nothing is lost.
func TestHeadersArePutRight(t *testing.T) {
	for name, field := range map[string][2]int{
		"length": {recordbatch.AtLength, 4}, "leader epoch": {recordbatch.AtEpoch, 4}, "format": {recordbatch.AtMagic, 1},
		"first offset": {0, 8},
	} {
		t.Run(name, func(t *testing.T) {
			seeds(t, 15, func(t *testing.T, rng *rand.Rand) {
				s := newStore(t, rng, false)
				s.note(t)
				hit := s.batches[rng.IntN(len(s.batches))]
				change(t, hit.file, func(raw []byte) []byte {
					raw[hit.at+field[0]+rng.IntN(field[1])] ^= 1 << rng.IntN(8)
					return raw
				})
				s.mustInspect(t)
				now, _ := s.read(t)
				if missing := s.missing(now); len(missing) > 0 {
					t.Errorf("%d batches are lost, the first at offset %d; a bit of that at %d was flipped:\n%s",
						len(missing), missing[0].first(), hit.first(), s.log)
				}
				if !strings.Contains(s.log.String(), "has been put right") {
					t.Errorf("the log does not say that it was put right: %s", s.log)
				}
			})
		})
	}
}

// TestDamageAnywhere: bytes that are overwritten, zeroed, cut out, put in or cut off, in one
// place. What stands whole before and behind it is there, and offsets are not used twice
// where somebody knows them.
func TestDamageAnywhere(t *testing.T) {
	seeds(t, 100, func(t *testing.T, rng *rand.Rand) {
		s := newStore(t, rng, rng.IntN(3) == 0)
		s.note(t)
		file := s.batches[rng.IntN(len(s.batches))].file
		from, to := 0, 0
		change(t, file, func(raw []byte) []byte {
			from = rng.IntN(len(raw))
			to = min(len(raw), from+1+rng.IntN(90))
			switch rng.IntN(5) {
			case 0: // overwritten
				for i := from; i < to; i++ {
					raw[i] = byte(rng.Uint32())
				}
			case 1: // zeroed, as a file system does after a crash
				clear(raw[from:to])
			case 2: // cut out
				raw = append(raw[:from:from], raw[to:]...)
			case 3: // put in between
				raw = append(append(raw[:from:from], make([]byte, to-from)...), raw[from:]...)
				to = from
			case 4: // cut off
				raw, to = raw[:from], len(raw)
			}
			return raw
		})
		s.mustInspect(t)
		now, end := s.read(t)
		for _, b := range s.missing(now) {
			touched := b.file == file && b.at < max(to, from+1) && b.at+len(b.raw) > from
			if !touched {
				t.Errorf("the batch at byte %d of %s is lost; bytes %d to %d of %s were damaged:\n%s",
					b.at, filepath.Base(b.file), from, to, filepath.Base(file), s.log)
			}
		}
		if end < s.end {
			t.Errorf("the next record gets offset %d, and %d was in use", end, s.end-1)
		}
		s.mustBeStable(t)
	})
}

// TestWhatIsRemoved: a segment, all of them, the partition's directory. What is left is
// there; the end is kept, with room to spare where nobody can know what a client has seen.
func TestWhatIsRemoved(t *testing.T) {
	for name, remove := range map[string]func(t *testing.T, s *store) (gone string){
		"the last segment": func(t *testing.T, s *store) string {
			file := s.batches[len(s.batches)-1].file
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			return file
		},
		"all segments": func(t *testing.T, s *store) string {
			if err := logdir.RemoveSegments(s.partition().Path(s.dir)); err != nil {
				t.Fatal(err)
			}
			return "" // all
		},
		"the directory": func(t *testing.T, s *store) string {
			if err := os.RemoveAll(s.partition().Path(s.dir)); err != nil {
				t.Fatal(err)
			}
			return ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			seeds(t, 10, func(t *testing.T, rng *rand.Rand) {
				s := newStore(t, rng, false)
				s.note(t)
				gone := remove(t, s)
				s.mustInspect(t)
				now, end := s.read(t)
				for _, b := range s.missing(now) {
					if gone != "" && b.file != gone {
						t.Errorf("a batch of %s is lost", filepath.Base(b.file))
					}
				}
				if end < s.end {
					t.Errorf("the next record gets offset %d, and %d was in use", end, s.end-1)
				}
				// Retention removes all segments of a partition that has expired: that is no loss.
				lost := strings.Contains(s.log.String(), "the end of the log is lost")
				if want := name == "the directory" || s.batches[0].file != gone && gone != ""; lost != want {
					t.Errorf("said %q", s.log)
				}
				s.mustBeStable(t)
			})
		})
	}
}

// TestIndexesGoWithWhatTheyAreOf: a segment that is written anew has none.
func TestIndexesGoWithWhatTheyAreOf(t *testing.T) {
	s := newStore(t, rand.New(rand.NewPCG(1, 1)), false)
	hit := s.batches[0]
	index := strings.TrimSuffix(hit.file, logdir.SegmentSuffix) + logdir.IndexSuffix
	s.mustInspect(t)
	if _, err := os.Stat(index); err != nil {
		t.Fatalf("the index of a sound segment: %v", err)
	}
	change(t, hit.file, func(raw []byte) []byte { raw[hit.at+recordbatch.HeaderBytes] ^= 1; return raw })
	s.mustInspect(t)
	if _, err := os.Stat(index); !os.IsNotExist(err) {
		t.Errorf("the index of a segment that was written anew is there: %v", err)
	}
}

// TestAnOffsetThatIsTooHighCostsNothingBehindIt: believed, it would make all that stands
// behind it impossible, in the segments behind as well.
func TestAnOffsetThatIsTooHighCostsNothingBehindIt(t *testing.T) {
	seeds(t, 6, func(t *testing.T, rng *rand.Rand) {
		compacted := rng.IntN(2) == 0
		s := newStore(t, rng, compacted)
		if rng.IntN(2) == 0 {
			s.note(t)
		}
		for _, hit := range s.batches[:len(s.batches)-1] {
			for bit := range 24 {
				if hit.first()&(1<<bit) != 0 {
					continue // that would make it lower
				}
				flip := func(raw []byte) []byte { raw[hit.at+7-bit/8] ^= 1 << (bit % 8); return raw }
				change(t, hit.file, flip)
				s.mustInspect(t)
				now, _ := s.read(t)
				for _, b := range s.missing(now) {
					if b.first() != hit.first() {
						t.Fatalf("compacted %t: bit %d of offset %d costs the batch at %d:\n%s", compacted, bit, hit.first(), b.first(),
							s.log)
					}
				}
				for _, b := range s.batches { // as it was
					change(t, b.file, func([]byte) []byte { return nil })
				}
				for _, b := range s.batches {
					change(t, b.file, func(raw []byte) []byte { return append(raw, b.raw...) })
				}
			}
		}
	})
}
