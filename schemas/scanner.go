package schemas

import (
	"bytes"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// Members are an object's members in their order, as they stand in it: the names
// without quotes and escapes, the values as they are. Neither must be changed.
// object must be valid JSON; what comes of anything else is no promise, but ends.
func Members(object []byte) iter.Seq2[[]byte, jsontext.Value] {
	return func(yield func([]byte, jsontext.Value) bool) {
		for s := enter(object); ; {
			quoted, value, ok := s.member()
			if !ok || !yield(Plain(quoted), value) {
				return
			}
		}
	}
}

// scanner walks over the members of an object or the elements of an array without looking into them. On valid JSON
// it is exact; on anything else it still ends, looks at every byte once or twice and keeps no stack: nested values
// are passed by counting brackets outside strings.
type scanner struct{ rest []byte }

// enter is a scanner behind the bracket that opens the value.
func enter(value []byte) scanner {
	s := scanner{rest: value}
	if s.next() != 0 {
		s.rest = s.rest[1:]
	}
	return s
}

// member takes the next quoted name and its value; false after the last one.
func (s *scanner) member() (quoted, value jsontext.Value, ok bool) {
	if s.next() == ',' {
		s.rest = s.rest[1:]
	}
	quoted, ok = s.quoted()
	if !ok || s.next() != ':' {
		return nil, nil, false
	}
	s.rest = s.rest[1:]
	return quoted, s.value(), true
}

// element takes the next value of an array; false after the last one.
func (s *scanner) element() (jsontext.Value, bool) {
	if s.next() == ',' {
		s.rest = s.rest[1:]
	}
	if c := s.next(); c == ']' || c == 0 {
		return nil, false
	}
	return s.value(), true
}

// next is the next byte that is not white space, 0 at the end.
func (s *scanner) next() byte {
	for len(s.rest) > 0 {
		if c := s.rest[0]; !isSpace(c) {
			return c
		}
		s.rest = s.rest[1:]
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// quoted takes a string with its quotes; false if there is no whole one.
func (s *scanner) quoted() (jsontext.Value, bool) {
	if s.next() != '"' {
		return nil, false
	}
	end := stringEnd(s.rest)
	if end < 0 {
		return nil, false
	}
	text := s.rest[:end:end]
	s.rest = s.rest[end:]
	return text, true
}

// stringEnd is the length of the string that b starts with, -1 if it does not
// end. A quote behind an odd number of backslashes is part of the text.
func stringEnd(b []byte) int {
	for i := 1; ; i++ {
		n := bytes.IndexByte(b[min(i, len(b)):], '"')
		if n < 0 {
			return -1
		}
		i += n
		slashes := 0
		for b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
}

// value takes what stands before the next comma or closing bracket.
func (s *scanner) value() jsontext.Value {
	s.next()
	end := valueEnd(s.rest)
	value := s.rest[:end:end]
	s.rest = s.rest[end:]
	for n := len(value); n > 0 && isSpace(value[n-1]); n-- {
		value = value[: n-1 : n-1]
	}
	return value
}

func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			length := stringEnd(b[i:])
			if length < 0 {
				return len(b)
			}
			i += length - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}
