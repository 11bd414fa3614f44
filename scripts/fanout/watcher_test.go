package main

import (
	"os"
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

// TestMain is also the process of a feed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-feed" {
		main()
		return
	}
	os.Exit(m.Run())
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
		o := options{serve: name, layout: string(oneUser), clients: 1, events: 50, size: 300}
		s, dialect, err := o.start(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w, err := connect(t.Context(), s.addr(), dialect, 0)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := o.publishing(t.Context(), s)(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := w.watch(o.events); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w.conn.Close()
		s.close()
	}
}
