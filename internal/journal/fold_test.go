package journal

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestStateStep(t *testing.T) {
	tests := map[string]struct {
		before     State
		epoch, seq int64
		want       Verdict
		after      State
	}{
		"first fence":                {State{}, 100, 1, Counts, State{100, 1}},
		"first seen in the middle":   {State{}, 100, 7, CountsAfterGap, State{100, 7}},
		"next":                       {State{100, 1}, 100, 2, Counts, State{100, 2}},
		"gap":                        {State{100, 1}, 100, 4, CountsAfterGap, State{100, 4}},
		"repeat":                     {State{100, 4}, 100, 4, Repeated, State{100, 4}},
		"older repeat":               {State{100, 4}, 100, 2, Repeated, State{100, 4}},
		"zombie":                     {State{100, 4}, 99, 5, Stale, State{100, 4}},
		"next owner":                 {State{100, 4}, 101, 1, Counts, State{101, 1}},
		"next owner, fence not seen": {State{100, 4}, 300, 2, CountsAfterGap, State{300, 2}},
		"second fence, same epoch":   {State{100, 1}, 100, 1, Repeated, State{100, 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := test.before.Step(test.epoch, test.seq)
			if got != test.want || test.before != test.after {
				t.Errorf("verdict %d and %v, want %d and %v", got, test.before, test.want, test.after)
			}
			if got.Counted() != (got == Counts || got == CountsAfterGap) {
				t.Errorf("verdict %d counted: %v", got, got.Counted())
			}
		})
	}
}

func drawStamps(t *rapid.T) []Stamp {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Stamp {
		return Stamp{
			Shard: rapid.SampledFrom([]string{"fast/3", "heavy/3"}).Draw(t, "shard"),
			Epoch: rapid.Int64Range(1, 5).Draw(t, "epoch"), Seq: rapid.Int64Range(1, 6).Draw(t, "seq"),
		}
	}), 0, 40).Draw(t, "stamps")
}

// Whoever starts from a saved state sees what one who read from the start sees.
func TestFoldResumes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stamps := drawStamps(t)
		at := rapid.IntRange(0, len(stamps)).Draw(t, "resume at")
		whole, resumed := NewFold(nil), NewFold(nil)
		for i, s := range stamps {
			if i == at {
				resumed = NewFold(whole.States())
			}
			want := whole.Step(s)
			if i >= at {
				if got := resumed.Step(s); got != want {
					t.Fatalf("record %d is worth %d, to a reader that resumed at %d it is %d", i, want, at, got)
				}
			}
		}
		if at < len(stamps) {
			if diff := cmp.Diff(whole.States(), resumed.States()); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// The epochs that count never fall, and within one the sequence only rises.
func TestFoldOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fold, last := NewFold(nil), map[string]State{}
		for _, s := range drawStamps(t) {
			reference := refFold{last[s.Shard].Epoch, last[s.Shard].Seq}
			if counted := fold.Step(s).Counted(); counted != reference.step(s) {
				t.Fatalf("%+v after %v counts: %v", s, last[s.Shard], counted)
			}
			last[s.Shard] = State{reference.epoch, reference.seq}
		}
	})
}

// A saved state is a copy.
func TestFoldStatesAreCopies(t *testing.T) {
	saved := map[string]State{"fast/3": {5, 5}}
	fold := NewFold(saved)
	states := fold.States()
	fold.Step(Stamp{"fast/3", 6, 1})
	if saved["fast/3"] != (State{5, 5}) || states["fast/3"] != (State{5, 5}) {
		t.Errorf("stepping changed %v or %v", saved, states)
	}
}
