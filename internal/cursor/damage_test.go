package cursor_test

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/cursor"
)

// drawCursor is any cursor that this release can write.
func drawCursor(t *rapid.T, name string) cursor.Cursor {
	c := cursor.Cursor{Log: cursor.LogName(rapid.Uint32().Draw(t, name+" log"))}
	if rapid.Bool().Draw(t, name+" is short") {
		c.Base = drawBase(t, 200, 1<<40)
	} else {
		offset := rapid.Int64Range(0, 1<<40)
		if c.Events = rapid.SliceOfN(offset, 0, 60).Draw(t, name+" events"); len(c.Events) == 0 {
			c.Events = nil
		}
	}
	if rapid.Bool().Draw(t, name+" has a task") {
		c.Task = &cursor.TaskPosition{
			Lane: rapid.SampledFrom([]string{"", "fast", "heavy", strings.Repeat("l", cursor.MaxLaneBytes)}).Draw(t,
				name+" lane"),
			Partition: rapid.Int32Range(0, math.MaxInt32).Draw(t, name+" partition"),
			Offset:    rapid.Int64Range(0, math.MaxInt64).Draw(t, name+" offset"),
		}
	}
	return c
}

// A cursor that was cut off, has grown or has a bit turned over is refused, or is the one text of another place: it
// never stands for the place that it was.
func TestDamagedCursors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCursor(t, "it")
		whole, err := base64.RawURLEncoding.DecodeString(c.String())
		if err != nil {
			t.Fatal(err)
		}
		damaged := append([]byte{}, whole...)
		switch rapid.IntRange(0, 3).Draw(t, "damage") {
		case 0:
			damaged = damaged[:rapid.IntRange(0, len(damaged)-1).Draw(t, "cut")]
		case 1:
			damaged = append(damaged, rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "more")...)
		case 2:
			damaged[rapid.IntRange(0, len(damaged)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		default:
			at := rapid.IntRange(0, len(damaged)-1).Draw(t, "at")
			damaged = append(damaged[:at], damaged[at+1:]...)
		}
		text := base64.RawURLEncoding.EncodeToString(damaged)
		got, err := cursor.Parse(text)
		if text == c.String() {
			return // two equal bytes, one of which was left out
		}
		if err != nil {
			if !errors.Is(err, cursor.ErrInvalid) || len(err.Error()) > 200 || !cmp.Equal(got, cursor.Cursor{}) {
				t.Fatalf("%x is refused with %v, and %+v", damaged, err, got)
			}
			return
		}
		if got.String() != text {
			t.Fatalf("%x was read as %+v, whose text is another: %s", damaged, got, got)
		}
		if cmp.Equal(got, c) {
			t.Fatalf("%x and %x are the same place", damaged, whole)
		}
	})
}

// A cut-off cursor is always refused: nobody goes on from the half of a place.
func TestEveryCutIsRefused(t *testing.T) {
	for _, c := range []cursor.Cursor{
		{Log: 1, Events: []int64{5, 0, 1 << 40, 7}},
		{Log: math.MaxUint32, Base: &cursor.Base{Time: 1 << 41, Partitions: 90, Sum: 1 << 45,
			Places: []cursor.Place{{Partition: 4, Next: 9}}}},
		{Events: []int64{1}, Task: &cursor.TaskPosition{Lane: "fast", Partition: 3, Offset: 300}},
	} {
		whole, err := base64.RawURLEncoding.DecodeString(c.String())
		if err != nil {
			t.Fatal(err)
		}
		for n := range whole {
			if got, err := cursor.Parse(base64.RawURLEncoding.EncodeToString(whole[:n])); !errors.Is(err, cursor.ErrInvalid) {
				t.Errorf("%d of %d bytes are read as %+v, %v", n, len(whole), got, err)
			}
		}
	}
}

// Different places have different texts: cursors can be compared as strings.
func TestPlacesHaveTheirOwnText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawCursor(t, "one"), drawCursor(t, "other")
		if same := a.String() == b.String(); same != cmp.Equal(a, b) {
			t.Fatalf("%+v and %+v: the texts are equal: %v", a, b, same)
		}
	})
}

// Append leaves what is there alone, and appends what String says.
func TestAppendAppends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCursor(t, "it")
		before := rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "before")
		room := make([]byte, len(before), len(before)+rapid.IntRange(0, 600).Draw(t, "room"))
		copy(room, before)
		if got, want := string(c.Append(room)), string(before)+c.String(); got != want {
			t.Fatalf("%q became %q, want %q", before, got, want)
		}
	})
}

// Whoever sends a cursor that announces much and has little costs no memory for it.
func TestHostileCursorsCostNothing(t *testing.T) {
	raw := base64.RawURLEncoding.EncodeToString
	for name, text := range map[string]string{
		"ten thousand partitions": raw([]byte{1, 0, 0x90, 0x4e, 0}),
		"forty places":            raw([]byte{2, 0, 0, 0x90, 0x4e, 0, 40}),
		"a long lane":             raw([]byte{1, 1, 64, 'x'}),
		"too long a text":         strings.Repeat("A", 1<<20),
	} {
		var err error
		allocated := testing.AllocsPerRun(100, func() { _, err = cursor.Parse(text) })
		if !errors.Is(err, cursor.ErrInvalid) || allocated > 12 {
			t.Errorf("%s: %v, with %v allocations", name, err, allocated)
		}
	}
}

// Cursors of every topic id there may be have a name that is not "unknown", and the same one each time.
func TestLogsHaveNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		name := cursor.NameLog(id)
		if (name == 0) != (id == [16]byte{}) || name != cursor.NameLog(id) {
			t.Fatalf("%x is named %d", id, name)
		}
		if name.Other(name) || name.Other(0) || cursor.LogName(0).Other(name) {
			t.Fatalf("%d is another log than itself", name)
		}
	})
}
