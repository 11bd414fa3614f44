package fold

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestIdentityTellsApart(t *testing.T) {
	if IdentityOf("ab", "c") == IdentityOf("a", "bc") || IdentityOf("a", "b") == IdentityOf("b", "a") {
		t.Error("different tasks have the same identity")
	}
}

func TestStateStep(t *testing.T) {
	tests := map[string]struct {
		before     State
		epoch, seq int64
		appended   int64 // 0 is long after all
		want       Verdict
		after      State
	}{
		"first fence":                {State{}, 100, 1, 0, Counts, State{100, 1}},
		"first seen in the middle":   {State{}, 100, 7, 0, CountsAfterGap, State{100, 7}},
		"next":                       {State{100, 1}, 100, 2, 0, Counts, State{100, 2}},
		"gap":                        {State{100, 1}, 100, 4, 0, CountsAfterGap, State{100, 4}},
		"repeat":                     {State{100, 4}, 100, 4, 0, Repeated, State{100, 4}},
		"older repeat":               {State{100, 4}, 100, 2, 0, Repeated, State{100, 4}},
		"zombie":                     {State{100, 4}, 99, 5, 0, Stale, State{100, 4}},
		"next owner":                 {State{100, 4}, 101, 1, 0, Counts, State{101, 1}},
		"next owner, fence not seen": {State{100, 4}, 300, 2, 0, CountsAfterGap, State{300, 2}},
		"second fence, same epoch":   {State{100, 1}, 100, 1, 0, Repeated, State{100, 1}},
		"forged": {State{100, 4}, 999_999_999_999_999_999, 1, 1_767_222_000_000, Ahead,
			State{100, 4}},
		"forged, first of all": {State{}, 999_999_999_999_999_999, 1, 1_767_222_000_000, Ahead, State{}},
		"just within the margin": {State{100, 4}, 1_767_222_600_000, 1, 1_767_222_000_000, Counts,
			State{1_767_222_600_000, 1}},
		"just beyond the margin": {State{100, 4}, 1_767_222_600_001, 1, 1_767_222_000_000, Ahead, State{100, 4}},
		"owner, broker set back": {State{1_767_222_000_000, 4}, 1_767_222_000_000, 5, 1_600_000_000_000, Counts,
			State{1_767_222_000_000, 5}},
		"zombie, broker set back": {State{1_767_222_000_000, 4}, 1_767_221_000_000, 5, 1_600_000_000_000, Stale,
			State{1_767_222_000_000, 4}},
		"repeat, broker set back": {State{1_767_222_000_000, 4}, 1_767_222_000_000, 4, 1_600_000_000_000, Repeated,
			State{1_767_222_000_000, 4}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			appended := test.appended
			if appended == 0 {
				appended = 1_767_222_000_000
			}
			got := test.before.Step(test.epoch, test.seq, appended)
			if got != test.want || test.before != test.after {
				t.Errorf("verdict %d and %v, want %d and %v", got, test.before, test.want, test.after)
			}
			if got.Counted() != (got == Counts || got == CountsAfterGap) {
				t.Errorf("verdict %d counted: %v", got, got.Counted())
			}
		})
	}
}

// stamped is a record as the fold sees it.
type stamped struct {
	Stamp
	appended time.Time
}

// drawRecords draws some whose epochs are about as high as they may be.
func drawRecords(t *rapid.T) []stamped {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) stamped {
		return stamped{Stamp{
			Shard: rapid.SampledFrom([]string{"fast/3", "heavy/3"}).Draw(t, "shard"),
			Epoch: Margin.Milliseconds() + rapid.Int64Range(1, 5).Draw(t, "epoch"),
			Seq:   rapid.Int64Range(1, 6).Draw(t, "seq"),
		}, time.UnixMilli(rapid.Int64Range(2, 6).Draw(t, "appended"))}
	}), 0, 40).Draw(t, "records")
}

// Whoever starts from a saved state sees what one who read from the start sees.
func TestFoldResumes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		at := rapid.IntRange(0, len(records)).Draw(t, "resume at")
		whole, resumed := New(nil), New(nil)
		for i, s := range records {
			if i == at {
				resumed = New(whole.States())
			}
			want := whole.Step(s.Stamp, s.appended)
			if i >= at {
				if got := resumed.Step(s.Stamp, s.appended); got != want {
					t.Fatalf("record %d is worth %d, to a reader that resumed at %d it is %d", i, want, at, got)
				}
			}
		}
		if at < len(records) {
			if diff := cmp.Diff(whole.States(), resumed.States()); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// The epochs that count never fall, and within one the sequence only rises.
func TestFoldOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fold, last := New(nil), map[string]State{}
		for _, s := range drawRecords(t) {
			before := last[s.Shard]
			want := s.Epoch == before.Epoch && s.Seq > before.Seq ||
				s.Epoch > before.Epoch && s.Epoch-s.appended.UnixMilli() <= 600_000 // as docs/DELIVERY.md has it
			if counted := fold.Step(s.Stamp, s.appended).Counted(); counted != want {
				t.Fatalf("%+v after %v counts: %v", s, before, counted)
			}
			if want {
				last[s.Shard] = State{s.Epoch, s.Seq}
			}
		}
	})
}

// A saved state is a copy.
func TestFoldStatesAreCopies(t *testing.T) {
	saved := map[string]State{"fast/3": {5, 5}}
	fold := New(saved)
	states := fold.States()
	fold.Step(Stamp{"fast/3", 6, 1}, time.UnixMilli(7))
	if saved["fast/3"] != (State{5, 5}) || states["fast/3"] != (State{5, 5}) {
		t.Errorf("stepping changed %v or %v", saved, states)
	}
}
