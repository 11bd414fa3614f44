package journal

import (
	"errors"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
)

// shelf keeps the records of tasks that wait for long on disk, so that a
// million of them cost little memory. Its files have no name any more once they
// are open: what is on them can always be read again from the waiting log, so
// nothing may stay behind when the process ends, however it does.
//
// A file is given back when everything on it has been taken off. One task that
// waits for a year holds its file for as long, at most segmentBytes.
type shelf struct {
	dir     string // "" for none, or once something on it could not be read
	current *segment
	open    map[*segment]struct{}
	buffer  []byte // for the next record to write
}

// segmentBytes is about how large a file grows.
const segmentBytes = 64 << 20

type segment struct {
	file *os.File
	size int64
	live int
}

// spot is where a record lies on the shelf.
type spot struct {
	segment *segment
	at      int64
	bytes   int32
}

// put shelves a record. What cannot be written stays in memory.
func (s *shelf) put(payload any) any {
	record, ok := payload.(*kgo.Record)
	if !ok || s.dir == "" {
		return payload
	}
	s.buffer = appendRecord(s.buffer[:0], record)
	b := s.buffer
	g, err := s.room()
	if err != nil {
		return payload
	}
	if _, err := g.file.WriteAt(b, g.size); err != nil {
		return payload
	}
	p := &spot{segment: g, at: g.size, bytes: int32(len(b))}
	g.size += int64(len(b))
	g.live++
	return p
}

// take takes a record off the shelf.
func (s *shelf) take(payload any) (*kgo.Record, error) {
	switch p := payload.(type) {
	case *kgo.Record:
		return p, nil
	case *spot:
		record, err := p.read()
		if err != nil {
			s.dir = "" // a disk that has failed once is not trusted with the rest
			return nil, fmt.Errorf("read shelved task: %w", err)
		}
		s.leave(p.segment)
		return record, nil
	}
	return nil, errors.New("read shelved task: there is none")
}

// discard takes a record off the shelf that nobody needs any more.
func (s *shelf) discard(payload any) {
	if p, ok := payload.(*spot); ok {
		s.leave(p.segment)
	}
}

func (p *spot) read() (*kgo.Record, error) {
	b := make([]byte, p.bytes)
	if _, err := p.segment.file.ReadAt(b, p.at); err != nil {
		return nil, err //nolint:wrapcheck // take says what failed
	}
	return readRecord(b)
}

// room is the file to write on.
func (s *shelf) room() (*segment, error) {
	if s.current != nil && s.current.size < segmentBytes {
		return s.current, nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("shelve task: %w", err)
	}
	file, err := os.CreateTemp(s.dir, "waiting-*")
	if err != nil {
		return nil, fmt.Errorf("shelve task: %w", err)
	}
	os.Remove(file.Name())
	full := s.current
	s.current = &segment{file: file}
	if s.open == nil {
		s.open = map[*segment]struct{}{}
	}
	s.open[s.current] = struct{}{}
	if full != nil {
		s.drop(full)
	}
	return s.current, nil
}

func (s *shelf) leave(g *segment) {
	g.live--
	s.drop(g)
}

// drop gives a file back that nothing lies on and nothing will be put on.
func (s *shelf) drop(g *segment) {
	if g.live == 0 && g != s.current {
		g.file.Close()
		delete(s.open, g)
	}
}

// close gives all files back.
func (s *shelf) close() {
	for g := range s.open {
		g.file.Close()
	}
	s.open, s.current = nil, nil
}
