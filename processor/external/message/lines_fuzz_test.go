package message

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// pieces is a reader that gives its bytes in pieces of the given sizes, again and again.
type pieces struct {
	rest  []byte
	sizes []byte
	turn  int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	size := len(p.rest)
	if len(p.sizes) > 0 {
		size = 1 + int(p.sizes[p.turn%len(p.sizes)])*int(p.sizes[p.turn%len(p.sizes)])
		p.turn++
	}
	n := copy(b[:min(size, len(b))], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// FuzzLines: however what a child writes comes in pieces, it is split at its newlines, and nothing is changed or left
// out but lines that are too long. A byte 1 stands for 300 KiB.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "\n", "a", "a\nb\n", "\n\na", "{\"type\":\"pong\"}\n", "\x01\nb",
		"\x01\x01\x01\x01\x01\nb\nc",
		"a\n\x01\x01\x01\x01\x01", "\x01\x01\x01\nab\n\x01\x01\x01\x01\n\x01\n"} {
		for _, sizes := range []string{"", "\x00", "\x03\x01", "\xff", "\xff\x01\x80"} {
			f.Add([]byte(seed), []byte(sizes))
		}
	}
	f.Fuzz(func(t *testing.T, short, sizes []byte) {
		if bytes.Count(short, []byte{1}) > 20 {
			return
		}
		text := bytes.ReplaceAll(short, []byte{1}, bytes.Repeat([]byte("x"), 300<<10))
		if len(text) > 300<<10 && len(sizes) > 0 {
			sizes = append(sizes, 255) // or it takes long
		}
		l := NewLines(&pieces{rest: text, sizes: sizes})
		for n, want := range bytes.Split(text, []byte("\n")) {
			line, long, err := l.Next()
			switch {
			case err != nil && !errors.Is(err, io.EOF):
				t.Fatal(err)
			case long != nil && len(want) <= MaxLine:
				t.Fatalf("line %d of %d bytes is too long", n, len(want))
			case long != nil && !bytes.HasPrefix(want, long.Head):
				t.Fatalf("line %d begins with %.20q, not %.20q", n, want, long.Head)
			case long == nil && len(want) > MaxLine+readSize:
				t.Fatalf("line %d of %d bytes is not too long", n, len(want))
			case long == nil && !bytes.Equal(line, want):
				t.Fatalf("line %d is %.20q of %d bytes, not %.20q of %d", n, line, len(line), want, len(want))
			case cap(l.buffer) > 4*(MaxLine+readSize):
				t.Fatalf("%d bytes are kept", cap(l.buffer))
			}
		}
		if line, long, err := l.Next(); len(line) > 0 || long != nil || !errors.Is(err, io.EOF) {
			t.Fatalf("after the last line comes %.20q, %v, %v", line, long, err)
		}
	})
}
