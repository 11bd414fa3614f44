package fold

import (
	"testing"

	"pgregory.net/rapid"
)

func drawCommit(t *rapid.T) Commit {
	number := rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, MaxNumber))
	c := Commit{
		Offset: number.Draw(t, "offset"), Position: number.Draw(t, "position"), Own: number.Draw(t, "own"),
		Before: State{number.Draw(t, "epoch"), number.Draw(t, "seq")}, LaneEpoch: -1,
	}
	c.Window = rapid.Int64Range(0, c.Position).Draw(t, "window")
	return c
}

func TestCommitMetadata(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawCommit(t)
		text := want.Metadata()
		if len(text) > 110 {
			t.Fatalf("%d bytes: %s", len(text), text)
		}
		if got := ParseCommit(want.Offset, text); got != want {
			t.Fatalf("%+v comes back as %+v", want, got)
		}
	})
}

// What another program committed keeps its offset, and the journal is read
// from its start.
func TestParseCommitOfOthers(t *testing.T) {
	for _, text := range []string{
		"", "x", "tl1", "tl1:1:2:3:4", "tl1:1:2:3:4:5:6", "tl0:1:2:3:4:5", "tl1:1:2:3:4:x",
		"tl1:-1:2:3:4:5", "tl1:1:2:3:4:99999999999999999999", `{"position":1}`,
	} {
		if got := ParseCommit(42, text); got != (Commit{Offset: 42, LaneEpoch: -1}) {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func FuzzParseCommit(f *testing.F) {
	f.Add(int64(3), "tl1:1:2:3:4:1")
	f.Add(int64(-1), "tl1:1:2:3:4:9")
	f.Fuzz(func(t *testing.T, offset int64, text string) {
		c := ParseCommit(offset, text)
		if c.Offset != offset || c.Window > c.Position ||
			min(c.Position, c.Window, c.Own, c.Before.Epoch, c.Before.Seq) < 0 {
			t.Errorf("%q: %+v", text, c)
		}
		if again := ParseCommit(offset, c.Metadata()); again != c {
			t.Errorf("%+v comes back as %+v", c, again)
		}
	})
}
