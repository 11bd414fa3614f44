package cursor_test

import (
	"encoding/base64"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

func TestRoundTrip(t *testing.T) {
	tests := map[string]cursor.Cursor{
		"zero":          {},
		"one partition": {Events: []int64{0}},
		"eight equal":   {Events: []int64{7, 7, 7, 7, 7, 7, 7, 7}},
		"up and down":   {Events: []int64{100, 0, 1 << 40, 3}},
		"extremes":      {Events: []int64{math.MaxInt64, 0, math.MaxInt64}},
		"with a task":   {Events: []int64{1, 2}, Task: &cursor.TaskPosition{Lane: "fast", Partition: 3, Offset: 17}},
		"task alone":    {Task: &cursor.TaskPosition{Lane: "gpu", Partition: math.MaxInt32, Offset: math.MaxInt64}},
		"nameless lane": {Task: &cursor.TaskPosition{}},
		"longest lane":  {Task: &cursor.TaskPosition{Lane: strings.Repeat("x", cursor.MaxLaneBytes)}},
		"a base": {Base: &cursor.Base{Time: 1_800_000_000_000, Partitions: 1000, Sum: 1 << 50,
			Places: []cursor.Place{{Partition: 0, Next: 7}, {Partition: 1, Next: 5}, {Partition: 999, Next: 1 << 40}}}},
		"base and task":  {Base: &cursor.Base{Partitions: 50}, Task: &cursor.TaskPosition{Lane: "fast"}},
		"a log's name":   {Log: 7, Events: []int64{1, 2}},
		"all there is":   {Log: math.MaxUint32, Events: []int64{1}, Task: &cursor.TaskPosition{Lane: "fast", Offset: 1}},
		"base of a log":  {Log: 1 << 31, Base: &cursor.Base{Partitions: 50}},
		"most partition": {Events: make([]int64, 6000)},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			text := want.String()
			got, err := cursor.Parse(text)
			if err != nil {
				t.Fatalf("Parse(%q): %v", text, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("round trip changed it (-want +got):\n%s", diff)
			}
			if strings.ContainsAny(text, "+/=&?# ") {
				t.Errorf("%q is not safe in a URL", text)
			}
		})
	}
}

func TestEveryCursorComesBack(t *testing.T) {
	offsets := rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64), 0, 100)
	rapid.Check(t, func(t *rapid.T) {
		want := cursor.Cursor{Events: offsets.Draw(t, "events")}
		if len(want.Events) == 0 {
			want.Events = nil
		}
		want.Log = cursor.LogName(rapid.Uint32().Draw(t, "log"))
		if rapid.Bool().Draw(t, "hasBase") {
			want.Events, want.Base = nil, drawBase(t, cursor.MaxPartitions, math.MaxInt64)
		}
		if rapid.Bool().Draw(t, "hasTask") {
			want.Task = &cursor.TaskPosition{
				Lane:      rapid.StringN(0, 10, cursor.MaxLaneBytes).Draw(t, "lane"),
				Partition: rapid.Int32Range(0, math.MaxInt32).Draw(t, "partition"),
				Offset:    rapid.Int64Range(0, math.MaxInt64).Draw(t, "offset"),
			}
		}
		got, err := cursor.Parse(want.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func drawBase(t *rapid.T, partitions int, most int64) *cursor.Base {
	b := &cursor.Base{
		Time: rapid.Int64Range(0, most).Draw(t, "time"), Partitions: partitions,
		Sum: rapid.Int64Range(0, most).Draw(t, "sum"),
	}
	at := rapid.SliceOfNDistinct(rapid.Int32Range(0, int32(partitions-1)), 0, cursor.MaxPlaces, rapid.ID[int32]).Draw(t,
		"partitions")
	slices.Sort(at)
	for _, p := range at {
		b.Places = append(b.Places, cursor.Place{Partition: p, Next: rapid.Int64Range(0, most).Draw(t, "offset")})
	}
	return b
}

// The bound that clients and proxies can rely on, with 1,000 partitions and the
// longest offsets there are.
func TestBaseIsShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cursor.Cursor{Log: math.MaxUint32, Base: drawBase(t, 1000, 1<<40-1)}
		c.Base.Sum = rapid.Int64Range(0, math.MaxInt64).Draw(t, "total")
		if text := c.String(); len(text) > cursor.MaxShortBytes {
			t.Fatalf("%d bytes: %s", len(text), text)
		}
	})
	longest := make([]int64, cursor.MaxExact)
	for i := range longest {
		longest[i] = int64(i%2) * (1<<40 - 1)
	}
	if text := (cursor.Cursor{Log: math.MaxUint32, Events: longest}).String(); len(text) > cursor.MaxShortBytes {
		t.Errorf("%d partitions take %d bytes", len(longest), len(text))
	}
}

func TestSmall(t *testing.T) {
	const base = 1_000_000
	c := cursor.Cursor{Events: []int64{base, base + 40, base - 30, base + 5, base, base + 60, base - 9, base + 1}}
	if text := c.String(); len(text) > 20 {
		t.Errorf("8 partitions of about a million records take %d characters: %s", len(text), text)
	}
}

func TestParseRefuses(t *testing.T) {
	raw := func(b ...byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	tests := map[string]struct{ text, says string }{
		"empty":              {"", "empty"},
		"too long":           {strings.Repeat("A", cursor.MaxTextBytes+1), "at most 8192"},
		"not base64":         {"not a cursor!", "pass it back unchanged"},
		"padded base64":      {base64.URLEncoding.EncodeToString([]byte{1, 0, 1, 0}), "pass it back unchanged"},
		"loose base64 bits":  {raw(1, 0, 0, 0)[:5] + "B", "pass it back unchanged"},
		"line break alone":   {"\n", "pass it back unchanged"},
		"line break inside":  {"AQ\nAA", "pass it back unchanged"},
		"later version":      {raw(3, 0, 0), "version 3"},
		"base cut off":       {raw(2, 0, 5), "cut off"},
		"place outside":      {raw(2, 0, 0, 3, 0, 1, 3, 0), "partition 3 of 3"},
		"place cut off":      {raw(2, 0, 0, 3, 0, 2, 0, 0), "cut off"},
		"too many places":    {raw(2, 0, 0, 100, 0, 41), "at most 40"},
		"place below zero":   {raw(2, 0, 0, 3, 0, 1, 0, 1), "out of range"},
		"base and more":      {raw(2, 0, 0, 3, 0, 0, 0), "1 bytes too many"},
		"version alone":      {raw(1), "cut off"},
		"unknown flags":      {raw(1, 4, 0), "unknown flags"},
		"log cut off":        {raw(1, 2, 0, 0, 1), "cut off"},
		"log without a name": {raw(1, 2, 0, 0, 0, 0, 0), "damaged"},
		"no count":           {raw(1, 0), "cut off"},
		"trailing bytes":     {raw(1, 0, 0, 9), "1 bytes too many"},
		"count without data": {raw(1, 0, 5, 0), "5 partitions in 1 bytes"},
		"too many":           {raw(1, 0, 0x91, 0x4e), "at most 10000"},
		"negative offset":    {raw(1, 0, 1, 1), "out of range"},
		"overflow":           {raw(append(append([]byte{1, 0, 2}, maxVarint...), 2)...), "out of range"},
		"endless varint":     {raw(append([]byte{1, 0, 1}, endless...)...), "damaged"},
		"padded varint":      {raw(1, 0, 1, 0x80, 0), "damaged"},
		"long lane":          {raw(1, 1, 65), "at most 64"},
		"lane cut off":       {raw(1, 1, 4, 'f', 'a'), "cut off"},
		"task cut off":       {raw(1, 1, 1, 'f', 0), "cut off"},
		"partition too high": {raw(1, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x08, 0, 0), "task partition"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := cursor.Parse(tt.text)
			if !errors.Is(err, cursor.ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Parse(%q) = %v, %v; want an error that says %q", tt.text, got, err, tt.says)
			}
			if err != nil && len(err.Error()) > 200 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// maxVarint is the zigzag varint of the largest int64.
var maxVarint = []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}

var endless = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Releases before names were in cursors wrote none, and theirs are still read.
func TestCursorWithoutALogIsOfAny(t *testing.T) {
	old, err := cursor.Parse("AQAIBBQTAAAUEwA")
	if err != nil || old.Log != 0 || len(old.Events) != 8 {
		t.Fatalf("an old cursor is read as %+v, %v", old, err)
	}
	here, there := cursor.NameLog([16]byte{1}), cursor.NameLog([16]byte{2})
	if old.Log.Other(here) || here.Other(0) || here.Other(here) || !here.Other(there) || !there.Other(here) {
		t.Error("only two names that are known and differ are of different logs")
	}
	if cursor.NameLog([16]byte{}) != 0 || here == 0 || here == there {
		t.Errorf("names %d and %d", here, there)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(cursor.Cursor{Log: 9, Events: []int64{1}}.String())
	f.Add("")
	f.Add("AQAA")
	f.Add(cursor.Cursor{Events: []int64{1, 2, 3}}.String())
	f.Add(cursor.Cursor{Events: []int64{9}, Task: &cursor.TaskPosition{Lane: "heavy", Partition: 1, Offset: 2}}.String())
	f.Add(cursor.Cursor{Base: &cursor.Base{Time: 5, Partitions: 100, Sum: 7,
		Places: []cursor.Place{{Partition: 3, Next: 9}, {Partition: 7, Next: 2}}}}.String())
	f.Fuzz(func(t *testing.T, text string) {
		c, err := cursor.Parse(text)
		if err != nil {
			return
		}
		if len(c.Events) > cursor.MaxPartitions {
			t.Fatalf("%d partitions", len(c.Events))
		}
		for _, offset := range c.Events {
			if offset < 0 {
				t.Fatalf("offset %d", offset)
			}
		}
		if c.Base != nil {
			last := int32(-1)
			for _, p := range c.Base.Places {
				if p.Next < 0 || p.Partition <= last || int(p.Partition) >= c.Base.Partitions {
					t.Fatalf("places %v of %d partitions", c.Base.Places, c.Base.Partitions)
				}
				last = p.Partition
			}
		}
		if again := c.String(); again != text {
			t.Fatalf("one place has two texts: %q and %q", text, again)
		}
	})
}

func BenchmarkString(b *testing.B) {
	c := cursor.Cursor{Events: []int64{1_000_000, 1_000_100, 999_000, 1_000_020, 1_000_000, 1_000_400, 1_000_000,
		1_000_000}}
	b.ReportAllocs()
	for b.Loop() {
		_ = c.String()
	}
}
