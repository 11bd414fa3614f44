package message

import (
	"bytes"
	"io"
)

const (
	// MaxLine is the longest line that is kept.
	MaxLine = 1 << 20
	// maxSkipped is how much of a longer line is passed over before nothing more is read.
	maxSkipped = 16 << 20
	readSize   = 64 << 10
)

// Lines splits what a program writes. No more than one line, and what was read with it, is kept.
type Lines struct {
	from    io.Reader
	buffer  []byte
	start   int // of what is not split yet, in the buffer
	end     int
	scanned int // from start on there is no newline
}

// NewLines splits what is read.
func NewLines(from io.Reader) *Lines { return &Lines{from: from} }

// LongLine is the beginning of a line that was too long and has been passed over.
type LongLine struct {
	Head    []byte
	Endless bool // it has not ended after maxSkipped bytes, and nothing more is read
}

// Next is the next line without its newline, valid until the next call. One that is too long is passed over, and its
// beginning given instead. The last line needs no newline.
func (l *Lines) Next() (line []byte, long *LongLine, err error) {
	for {
		if i := bytes.IndexByte(l.buffer[l.start+l.scanned:l.end], '\n'); i >= 0 {
			line = l.buffer[l.start : l.start+l.scanned+i]
			l.start += l.scanned + i + 1
			l.scanned = 0
			return line, nil, nil
		}
		l.scanned = l.end - l.start
		if l.scanned > MaxLine {
			long, err := l.skip()
			return nil, long, err
		}
		if err := l.read(); err != nil {
			line = l.buffer[l.start:l.end]
			l.start, l.end, l.scanned = 0, 0, 0
			return line, nil, err
		}
	}
}

// read makes room and reads on.
func (l *Lines) read() error {
	if l.start > 0 && l.end-l.start <= l.start {
		copy(l.buffer, l.buffer[l.start:l.end])
		l.end -= l.start
		l.start = 0
	}
	if l.end+readSize > cap(l.buffer) {
		grown := make([]byte, max(2*cap(l.buffer), l.end-l.start+2*readSize))
		copy(grown, l.buffer[l.start:l.end])
		l.buffer, l.end, l.start = grown, l.end-l.start, 0
	}
	l.buffer = l.buffer[:cap(l.buffer)]
	n, err := l.from.Read(l.buffer[l.end : l.end+readSize])
	l.end += n
	if n > 0 {
		return nil
	}
	return err
}

// skip passes a long line over.
func (l *Lines) skip() (*LongLine, error) {
	long := &LongLine{Head: bytes.Clone(l.buffer[l.start : l.start+4096])}
	l.buffer = make([]byte, readSize)
	l.start, l.end, l.scanned = 0, 0, 0
	for skipped := MaxLine; skipped < maxSkipped; {
		n, err := l.from.Read(l.buffer[:readSize])
		if i := bytes.IndexByte(l.buffer[:n], '\n'); i >= 0 {
			l.start, l.end = i+1, n
			return long, nil
		}
		if n == 0 && err != nil {
			return long, err //nolint:wrapcheck // the reader's
		}
		skipped += n
	}
	long.Endless = true
	return long, nil
}
