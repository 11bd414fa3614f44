package schemas

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

func FuzzDecodeTask(f *testing.F) {
	seed(f, "testdata/bad/*.bin", "testdata/task/*.json")
	f.Fuzz(func(t *testing.T, value []byte) {
		task, err := DecodeTask(value)
		if err == nil {
			encoded, err := task.Encode()
			if err != nil {
				t.Fatalf("encode: %v", err)
			}
			if _, err := DecodeTask(encoded); err != nil {
				t.Fatalf("what was encoded is refused: %v", err)
			}
			return
		}
		var invalid *InvalidTaskError
		if !errors.As(err, &invalid) || invalid.Problem == "" {
			t.Fatalf("no explanation: %v", err)
		}
		if text := err.Error(); !utf8.ValidString(text) || len(text) > 1000 {
			t.Fatalf("not for an event: %q", text)
		}
		if invalid.Identified() && (!utf8.ValidString(invalid.Task.UserID) || !utf8.ValidString(invalid.Task.TaskName)) {
			t.Fatalf("names that no event can carry: %+v", invalid.Task)
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	seed(f, "testdata/event/*.json")
	f.Fuzz(func(t *testing.T, value []byte) {
		event, err := DecodeEvent(value)
		if err != nil {
			return
		}
		encoded, err := event.Encode()
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		if _, err := DecodeEvent(encoded); err != nil {
			t.Fatalf("what was encoded is refused: %v", err)
		}
	})
}

func FuzzDecodeControl(f *testing.F) {
	seed(f, "testdata/control/*.json")
	f.Fuzz(func(t *testing.T, value []byte) {
		control, err := DecodeControl(value)
		if err != nil {
			if text := err.Error(); !utf8.ValidString(text) || len(text) > 1000 {
				t.Fatalf("not for a log: %q", text)
			}
			return
		}
		encoded, err := control.Encode()
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		again, err := DecodeControl(encoded)
		if err != nil {
			t.Fatalf("what was encoded is refused: %v", err)
		}
		if again.Key() != control.Key() {
			t.Fatalf("what was encoded is read with the key %s, not %s", again.Key(), control.Key())
		}
	})
}

func FuzzTime(f *testing.F) {
	for _, text := range []string{`"2026-01-31T09:30:00Z"`, `"2026-01-31T09:30:00.123456789+23:59"`,
		`"9999-12-31T23:59:59.999Z"`, `"0001-01-01T00:00:00Z"`, `"0002-01-01T00:00:00-00:01"`, `null`, `"`,
		`"\u0032026-01-31T09:30:00Z"`, `"2026-01-31T9:30:00,5+24:60"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var first, second Time
		if first.UnmarshalText(text) == nil {
			written, err := first.MarshalText()
			if err != nil || second.UnmarshalText(written) != nil || !second.Equal(AtTime(first.Time).Time) {
				t.Fatalf("%s is written %s (%v) and read %v", text, written, err, second)
			}
		}
		if first.UnmarshalJSON(text) == nil && string(text) != "null" {
			if written, err := first.MarshalJSON(); err != nil || second.UnmarshalJSON(written) != nil {
				t.Fatalf("%s is written %s (%v)", text, written, err)
			}
		}
	})
}

func seed(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, file := range files {
			value, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(value)
		}
	}
}
