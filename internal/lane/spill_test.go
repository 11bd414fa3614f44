package lane

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func spillRecord(n int, size int) *kgo.Record {
	return &kgo.Record{
		Topic: "tasks.fast", Partition: 3, Offset: int64(n), Value: bytes.Repeat([]byte{byte(n)}, size),
		Headers: []kgo.RecordHeader{{Key: "k", Value: []byte{0, 255}}}, Timestamp: time.UnixMilli(1_700_000_000_123),
	}
}

func TestShelfGivesBackWhatItTook(t *testing.T) {
	s := spillStore{dir: filepath.Join(t.TempDir(), "made")}
	defer s.close()
	for n := range 5 {
		record := spillRecord(n, 100*n)
		p := s.put(record)
		if _, onDisk := p.(*spilled); !onDisk || s.put(p) != p {
			t.Fatalf("record %d stays in memory, or is spilled twice", n)
		}
		got, err := s.take(p)
		if err != nil {
			t.Fatal(err)
		}
		if got.Topic != record.Topic || got.Partition != 3 || got.Offset != record.Offset ||
			!bytes.Equal(got.Value, record.Value) ||
			!got.Timestamp.Equal(record.Timestamp) || len(got.Headers) != 1 ||
			!bytes.Equal(got.Headers[0].Value, []byte{0, 255}) {
			t.Errorf("record %d comes back as %+v", n, got)
		}
	}
	names, err := os.ReadDir(s.dir)
	if err != nil || len(names) != 0 {
		t.Errorf("%d files would stay behind: %v", len(names), err)
	}
}

func TestShelfGivesFilesBack(t *testing.T) {
	s := spillStore{dir: t.TempDir()}
	defer s.close()
	var spots []any
	for n := range 3 { // each fills its file
		spots = append(spots, s.put(spillRecord(n, 10)))
		s.current.size = spillFileBytes
	}
	if len(s.open) != 3 {
		t.Fatalf("%d files are open, want 3", len(s.open))
	}
	if _, err := s.take(spots[0]); err != nil || len(s.open) != 2 {
		t.Fatalf("%d files are open after one was emptied: %v", len(s.open), err)
	}
	s.discard(spots[1])
	s.discard(spillRecord(0, 1)) // of what is in memory there is nothing to give back
	if len(s.open) != 1 {
		t.Fatalf("%d files are open after another was emptied", len(s.open))
	}
	if _, err := s.take(spots[2]); err != nil || len(s.open) != 1 {
		t.Fatalf("%d files are open; the one being written stays: %v", len(s.open), err)
	}
	s.put(spillRecord(4, 10))
	if len(s.open) != 1 {
		t.Fatalf("%d files are open; an empty one that is full is given back", len(s.open))
	}
}

// What cannot be written stays in memory.
func TestShelfThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full := spillStore{dir: t.TempDir()}
	defer full.close()
	p := full.put(spillRecord(0, 1))
	full.current.file.Close()
	for name, s := range map[string]*spillStore{"no directory": {}, "a file is in its way": {dir: file},
		"nothing can be written": &full} {
		record := spillRecord(1, 1)
		if got := s.put(record); got != any(record) {
			t.Errorf("%s: %v", name, got)
		}
		if got, err := s.take(record); got != record || err != nil {
			t.Errorf("%s: taken from memory: %v %v", name, got, err)
		}
	}
	if _, err := full.take(p); err == nil || full.dir != "" {
		t.Errorf("a disk that has failed is trusted with more: %v", err)
	}
	if _, err := full.take(nil); err == nil {
		t.Error("nothing is read back")
	}
}
