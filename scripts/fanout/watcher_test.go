package main

import (
	"strings"
	"testing"
)

func frame(user int, ns ...int) []byte {
	var lines []string
	for _, n := range ns {
		lines = append(lines, string(event(user, n, minSize)))
	}
	return []byte(strings.Join(lines, "\n"))
}

func TestWatcherChecks(t *testing.T) {
	tests := map[string]struct {
		frames [][]byte
		says   string
	}{
		"in order":     {[][]byte{frame(7, 0), frame(7, 1, 2), frame(7, 3)}, ""},
		"missing":      {[][]byte{frame(7, 0), frame(7, 2)}, "event 2 came where 1 should"},
		"doubled":      {[][]byte{frame(7, 0, 0)}, "event 0 came where 1 should"},
		"out of order": {[][]byte{frame(7, 0, 2, 1)}, "event 2 came where 1 should"},
		"another's":    {[][]byte{frame(8, 0)}, "an event of u000008"},
		"no event":     {[][]byte{[]byte(`{"kind":"hello"}`)}, "no event"},
		"nothing":      {[][]byte{{}}, "no event"},
	}
	for name, tt := range tests {
		w := &watcher{user: 7}
		var err error
		for _, f := range tt.frames {
			if err = w.check(f); err != nil {
				break
			}
		}
		if tt.says == "" && (err != nil || w.next.Load() != 4) {
			t.Errorf("%s: %v after %d events", name, err, w.next.Load())
		}
		if tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tt.says)
		}
	}
}

func TestEventHasItsSize(t *testing.T) {
	for _, size := range []int{minSize, 300, 5000} {
		if e := event(999_999, 999_999, size); len(e) != size {
			t.Errorf("an event of %d bytes has %d: %s", size, len(e), e)
		}
	}
}

// Every server delivers everything to clients that check it.
func TestServersDeliver(t *testing.T) {
	for _, name := range contenders() {
		s, dialect, err := start(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w, err := connect(t.Context(), s.addr(), dialect, 3)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for n := range 50 {
			if err := s.publish(t.Context(), 3, event(3, n, 300)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := w.watch(50); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w.conn.Close()
		s.close()
	}
}
