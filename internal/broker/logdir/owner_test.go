package logdir

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestFilesAreTheirOwnersAlone, however they are written, and whatever was there before.
func TestFilesAreTheirOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	for name, write := range map[string]func(path string) error{
		"replaced": func(path string) error { return ReplaceFile(path, []byte("x")) },
		"checked":  func(path string) error { return WriteChecked(path, []byte("x"), false) },
		"synced":   func(path string) error { return WriteSynced(path, []byte("x")) },
	} {
		path := filepath.Join(dir, name)
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("%d files, %v: something of a write is left", len(entries), err)
	}
}

// TestSegmentsAreListedByNumber: as the engine names them, whatever else is there.
func TestSegmentsAreListedByNumber(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "segments")
		if err != nil {
			rt.Fatal(err)
		}
		want := rapid.SliceOfNDistinct(rapid.Int64Min(0), 0, 6, rapid.ID[int64]).Draw(rt, "bases")
		for _, base := range want {
			for _, suffix := range []string{SegmentSuffix, IndexSuffix, SegmentSuffix + ".new"} {
				if err := os.WriteFile(SegmentFile(dir, base, suffix), nil, 0o600); err != nil {
					rt.Fatal(err)
				}
			}
		}
		slices.Sort(want)
		got, err := SegmentBases(dir)
		if err != nil || !slices.Equal(got, want) {
			rt.Fatalf("got %v, %v; want %v", got, err, want)
		}
		if err := RemoveSegments(dir); err != nil {
			rt.Fatal(err)
		}
		left, err := fs.Glob(os.DirFS(dir), "*")
		if err != nil || len(left) != len(want) {
			rt.Fatalf("left are %q, %v: those of other names", left, err)
		}
	})
}
