package lane

import (
	"errors"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/datadir"
)

// spillStore keeps the records of tasks that wait for long on disk, so that a
// million of them cost little memory. Its files have no name any more once they
// are open: what is on them can always be read again from the waiting log, so
// nothing may stay behind when the process ends, however it does.
//
// A file is given back when everything on it has been taken off. One task that
// waits for a year holds its file for as long, at most segmentBytes.
type spillStore struct {
	dir     string // "" for none, or once something on it could not be read
	current *spillFile
	open    map[*spillFile]struct{}
	buffer  []byte // for the next record to write
}

// spillFileBytes is about how large a file grows.
const spillFileBytes = 64 << 20

type spillFile struct {
	file *os.File
	size int64
	live int
}

// spilled is where a record lies in its spill file.
type spilled struct {
	segment *spillFile
	at      int64
	bytes   int32
}

// put spills a record. What cannot be written stays in memory.
func (s *spillStore) put(payload any) any {
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
	p := &spilled{segment: g, at: g.size, bytes: int32(len(b))}
	g.size += int64(len(b))
	g.live++
	return p
}

// take reads a spilled record.
func (s *spillStore) take(payload any) (*kgo.Record, error) {
	switch p := payload.(type) {
	case *kgo.Record:
		return p, nil
	case *spilled:
		record, err := p.read()
		if err != nil {
			s.dir = "" // a disk that has failed once is not trusted with the rest
			return nil, fmt.Errorf("read spilled task: %w", err)
		}
		s.leave(p.segment)
		return record, nil
	}
	return nil, errors.New("read spilled task: there is none")
}

// discard gives back a record that nobody needs any more.
func (s *spillStore) discard(payload any) {
	if p, ok := payload.(*spilled); ok {
		s.leave(p.segment)
	}
}

func (p *spilled) read() (*kgo.Record, error) {
	b := make([]byte, p.bytes)
	if _, err := p.segment.file.ReadAt(b, p.at); err != nil {
		return nil, err //nolint:wrapcheck // take says what failed
	}
	return readRecord(b)
}

// room is the file to write on.
func (s *spillStore) room() (*spillFile, error) {
	if s.current != nil && s.current.size < spillFileBytes {
		return s.current, nil
	}
	if _, err := datadir.Make(s.dir); err != nil {
		return nil, fmt.Errorf("spill task: %w", err)
	}
	file, err := os.CreateTemp(s.dir, "waiting-*")
	if err != nil {
		return nil, fmt.Errorf("spill task: %w", err)
	}
	os.Remove(file.Name())
	full := s.current
	s.current = &spillFile{file: file}
	if s.open == nil {
		s.open = map[*spillFile]struct{}{}
	}
	s.open[s.current] = struct{}{}
	if full != nil {
		s.drop(full)
	}
	return s.current, nil
}

func (s *spillStore) leave(g *spillFile) {
	g.live--
	s.drop(g)
}

// drop gives a file back that nothing lies on and nothing will be put on.
func (s *spillStore) drop(g *spillFile) {
	if g.live == 0 && g != s.current {
		g.file.Close()
		delete(s.open, g)
	}
}

// close gives all files back.
func (s *spillStore) close() {
	for g := range s.open {
		g.file.Close()
	}
	s.open, s.current = nil, nil
}
