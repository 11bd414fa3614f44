package guard

import (
	"strconv"
	"strings"
)

// A layout is the form of a request in words that are parted by spaces:
//
//	1 2 4 8 16   so many bytes
//	s            a string or bytes, with a compact length
//	*4 *s        an array of such
//	( … )        an array of structures
//	?( … )       a structure behind a byte that is negative if there is none
//
// "@-14" behind a word restricts it to versions up to 14, "@15-" to those from
// 15 on. Every structure ends with its tagged fields, and so does the request.
//
// The form is walked before a flexible request is decoded, because the decoder believes the number of tagged fields
// that is announced: five bytes let it turn over four billion times. Nobody who speaks the versions that are
// announced has any to send, so there may be none.
type layout []word

// word is one field.
type word struct {
	first, last int16 // the versions that have it
	bytes       int   // fixed; 0 for a string
	repeated    bool
	optional    bool
	inner       layout // of structures
}

// walk reads a structure, with the tagged fields at its end.
func (l layout) walk(r *reader, version int16) {
	for i := range l {
		w := &l[i]
		if version < w.first || version > w.last {
			continue
		}
		n := 1
		if w.repeated {
			n = w.count(r)
		}
		if w.optional {
			b := r.span(1)
			n = 0
			if !r.bad && int8(b[0]) >= 0 {
				n = 1
			}
		}
		for range n {
			w.walkOne(r, version)
			if r.bad {
				return
			}
		}
	}
	if n := r.uvarint(); n != 0 {
		r.bad = true
	}
}

// count reads the length of an array, each element of which takes a byte at least.
func (w *word) count(r *reader) int {
	n := r.compactLen()
	if n > len(r.src) {
		r.bad = true
	}
	if r.bad {
		return 0
	}
	return max(n, 0)
}

func (w *word) walkOne(r *reader, version int16) {
	switch {
	case w.inner != nil:
		w.inner.walk(r, version)
	case w.bytes > 0:
		r.span(w.bytes)
	default:
		r.compactNullable()
	}
}

// layouts are those of all APIs, by key.
var layouts = func() map[int16]layout {
	out := make(map[int16]layout, len(apis))
	for key, a := range apis {
		rest := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(a.layout))
		out[int16(key)], _ = parseLayout(rest)
	}
	return out
}()

// parseLayout reads words up to the end or the closing parenthesis, and returns those behind it.
func parseLayout(words []string) (layout, []string) {
	l := layout{}
	optional := false
	for len(words) > 0 {
		text := words[0]
		words = words[1:]
		w := word{last: 1<<15 - 1}
		switch text {
		case ")":
			return l, words
		case "?":
			optional = true
			continue
		case "(":
			w.inner, words = parseLayout(words)
			w.repeated, w.optional, optional = !optional, optional, false
			if len(words) > 0 && words[0][0] == '@' {
				w.restrict(words[0])
				words = words[1:]
			}
		default:
			text, versions, _ := strings.Cut(text, "@")
			w.restrict(versions)
			text, w.repeated = strings.CutPrefix(text, "*")
			w.bytes, _ = strconv.Atoi(text) // 0 for s
		}
		l = append(l, w)
	}
	return l, nil
}

// restrict sets the versions from "-14", "15-", or nothing.
func (w *word) restrict(versions string) {
	first, last, _ := strings.Cut(strings.TrimPrefix(versions, "@"), "-")
	if n, err := strconv.ParseInt(first, 10, 16); err == nil {
		w.first = int16(n)
	}
	if n, err := strconv.ParseInt(last, 10, 16); err == nil {
		w.last = int16(n)
	}
}
