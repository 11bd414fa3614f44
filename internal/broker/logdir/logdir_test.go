package logdir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

// TestNamesOfPartitions: the directory's name gives the partition again, and stays one
// directory whatever the topic is called.
func TestNamesOfPartitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Partition{
			Topic:  rapid.StringN(1, 20, -1).Draw(t, "topic"),
			Number: rapid.Int32Min(0).Draw(t, "number"),
		}
		got, ok := ParsePartition(p.Name())
		if !ok || got != p {
			t.Fatalf("%q: %+v, %t; want %+v", p.Name(), got, ok, p)
		}
		if filepath.Dir(p.Path("log")) != PartitionsPath("log") {
			t.Fatalf("%q leaves the directory of partitions", p.Path("log"))
		}
	})
	for _, name := range []string{"", "tasks", "tasks-", "tasks-x", "tasks-2147483648", "%zz-1", "tasks-1.dat"} {
		if p, ok := ParsePartition(name); ok {
			t.Errorf("%q is taken as %+v", name, p)
		}
	}
}

func TestTopicNames(t *testing.T) {
	long := string(bytes.Repeat([]byte("x"), MaxTopicName))
	for name, legal := range map[string]bool{
		"tasks.fast": true, "a": true, "A-b_c.9": true, long: true, "...": true,
		"": false, ".": false, "..": false, long + "x": false, "a/b": false, "a b": false, "ü": false, "a\n": false,
		"a\x00": false,
	} {
		if got := IsTopicName(name); got != legal {
			t.Errorf("%.20q: %t, want %t", name, got, legal)
		}
	}
}

// segments writes segments of one batch each, with an index where it says so, and returns
// the end of the last.
func segments(t testing.TB, dir string, indexed bool, bases ...int64) int64 {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, base := range bases {
		if err := os.WriteFile(SegmentFile(dir, base, SegmentSuffix), recordbatch.Marker(base, time.UnixMilli(1)),
			0o600); err != nil {
			t.Fatal(err)
		}
		if indexed {
			if err := os.WriteFile(SegmentFile(dir, base, IndexSuffix), fmt.Append(nil, base), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return bases[len(bases)-1] + 1
}

// TestSegmentBases: by number, and nothing else that lies there.
func TestSegmentBases(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tasks-0")
	if bases, err := SegmentBases(dir); err != nil || len(bases) > 0 {
		t.Errorf("without a directory: %v, %v", bases, err)
	}
	segments(t, dir, true, 1000, 9, 0)
	for _, other := range []string{"snapshot.json", "x.dat", "12.dat.new", "-.dat"} {
		if err := os.WriteFile(filepath.Join(dir, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if bases, err := SegmentBases(dir); err != nil || !slices.Equal(bases, []int64{0, 9, 1000}) {
		t.Errorf("got %v, %v", bases, err)
	}
}

// TestEndOffset: behind the last whole batch, in the segment before if the last has none.
func TestEndOffset(t *testing.T) {
	dir := t.TempDir()
	if end, err := EndOffset(dir); err != nil || end != 0 {
		t.Errorf("of nothing: %d, %v", end, err)
	}
	end := segments(t, dir, false, 0, 50)
	if got, err := EndOffset(dir); err != nil || got != end {
		t.Errorf("got %d, %v; want %d", got, err, end)
	}
	if err := os.Truncate(SegmentFile(dir, 50, SegmentSuffix), 30); err != nil {
		t.Fatal(err)
	}
	if got, err := EndOffset(dir); err != nil || got != 1 {
		t.Errorf("with a torn last segment: %d, %v; want 1", got, err)
	}
	if err := os.Mkdir(SegmentFile(dir, 60, SegmentSuffix), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := EndOffset(dir); err == nil {
		t.Error("a directory in the place of a segment is read")
	}
}

// TestLinkedSegmentsOutliveTheirOriginals, indexes included, and a second time.
func TestLinkedSegmentsOutliveTheirOriginals(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "a", "to")
	end := segments(t, from, true, 0, 7)
	segments(t, from, false, 99) // without an index
	end = max(end, 100)
	size, err := LinkSegments(from, to)
	if want := uint64(3 * len(recordbatch.Marker(0, time.UnixMilli(1)))); err != nil || size != want {
		t.Fatalf("%d bytes, %v; want %d", size, err, want)
	}
	if err := RemoveSegments(from); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(from); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if got, err := EndOffset(to); err != nil || got != end {
		t.Errorf("the copy ends at %d, %v; want %d", got, err, end)
	}
	if _, err := os.Stat(SegmentFile(to, 7, IndexSuffix)); err != nil {
		t.Errorf("the index is not there: %v", err)
	}
	if _, err := LinkSegments(to, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("what is there is overwritten: %v", err)
	}
	if err := RemoveSegments(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("without a directory: %v", err)
	}
}

// TestCheckedFiles: what was written is read, and any change to it is seen.
func TestCheckedFiles(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(dir, "checked")
		data := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "data")
		if err := WriteChecked(path, data, rapid.Bool().Draw(t, "synced")); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadChecked(path); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%q, %v; want %q", got, err, data)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "byte")
		raw[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if rapid.Bool().Draw(t, "cut") {
			raw = raw[:at]
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadChecked(path); !errors.Is(err, ErrChecksum) {
			t.Fatalf("changed at %d it is %q, %v", at, got, err)
		}
	})
	if _, err := ReadChecked(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestReplacedFilesAreWhole: a write that fails leaves the file as it was, and no file of
// the write in its place.
func TestReplacedFilesAreWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := ReplaceFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".new", 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	for name, write := range map[string]func() error{
		"replace": func() error { return ReplaceFile(path, []byte("new")) },
		"checked": func() error { return WriteChecked(path, []byte("new"), false) },
		"synced":  func() error { return WriteSynced(path+".new", []byte("new")) },
	} {
		if err := write(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("the file is %q, %v", got, err)
	}
	if err := RemoveFile(path); err != nil {
		t.Error(err)
	}
	if err := RemoveFile(path); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := RemoveFile(dir); err == nil {
		t.Error("a directory that is not empty is removed")
	}
}

func TestSubdirectories(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "c")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Subdirectories(dir); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := Subdirectories(filepath.Join(dir, "none")); err != nil || len(got) > 0 {
		t.Errorf("without a directory: %v, %v", got, err)
	}
	if _, err := Subdirectories(file); err == nil {
		t.Error("a file is listed")
	}
}

// TestFreeBytes: there is some space where tests run, and none where nothing is.
func TestFreeBytes(t *testing.T) {
	if free, err := FreeBytes(t.TempDir()); err != nil || free == 0 {
		t.Errorf("%d bytes, %v", free, err)
	}
	if _, err := FreeBytes(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a directory that is not there: %v", err)
	}
}
