package taskview

import (
	"bytes"
	"hash/fnv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a search: words in a query and bytes in a word.
const (
	maxTerms     = 16
	maxTermBytes = 200
)

// searchText is what one row of the search index holds. A task has two: what it
// was given (even) and what became of it (odd), so that neither is ever
// rewritten.
type searchText struct {
	rowid int64
	body  string
}

// The rows of a user's tasks lie together in the index, so that a search among
// them reads those only: neither what it finds nor how long it takes depends on
// what others have written. taskBits is the room for tasks in a row's number; above
// it stands a hash of the user, which two may share: the tasks found are asked for
// their user as well.
const (
	taskBits = 36
	userBits = 27
	taskMask = int64(1)<<taskBits - 1
)

// userRows are the first and the last row that a user's tasks can have.
func userRows(user string) (first, last int64) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(user)) // never fails
	sum := h.Sum64()
	first = int64((sum^sum>>32)&(1<<userBits-1)) << taskBits //nolint:gosec // 27 bits
	return first, first + 1<<taskBits - 1
}

// searchRow is the row of a task's input; that of its outcome is the next.
func searchRow(id int64, user string) int64 {
	first, _ := userRows(user)
	return first + 2*id
}

func inputText(id int64, user string, input []byte) searchText {
	var b textBuilder
	b.json(input)
	return searchText{rowid: searchRow(id, user), body: b.String()}
}

func outcomeText(id int64, t *Task, result []byte) searchText {
	var b textBuilder
	b.text(t.Message)
	b.text(t.Error)
	b.json(result)
	return searchText{rowid: searchRow(id, t.UserID) + 1, body: b.String()}
}

// textBuilder collects words up to MaxSearchBytes.
type textBuilder struct{ strings.Builder }

// json adds the names, strings and numbers of a value. The raw JSON would not
// do: an escaped line break in it reads as the letter n.
func (b *textBuilder) json(value []byte) {
	dec := jsontext.NewDecoder(bytes.NewReader(value), jsontext.AllowDuplicateNames(true))
	for b.Len() < MaxSearchBytes {
		token, err := dec.ReadToken()
		if err != nil {
			return
		}
		switch token.Kind() {
		case jsontext.KindString, jsontext.KindNumber:
			b.text(token.String())
		}
	}
}

func (b *textBuilder) text(s string) {
	room := MaxSearchBytes - b.Len()
	if room <= 0 || s == "" {
		return
	}
	if len(s) > room {
		s = strings.ToValidUTF8(s[:room], "")
	}
	b.WriteString(spaced(s))
	b.WriteByte(' ')
}

// spaced puts spaces around every character of a script that is written without
// them, so that each is a word and a part of a sentence can be found. Where
// there is none, which is most often, s is returned as it is.
func spaced(s string) string {
	if strings.IndexFunc(s, unspaced) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unspaced(r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unspaced(r rune) bool {
	return r >= 0x0E00 && unicode.In(r,
		unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// searchTerms turns a user's text into quoted FTS5 phrases, one a word; all of
// them must be found. Quoting leaves no operator, column or prefix to the user.
// It returns nil if the text has no letter or digit.
func searchTerms(query string) []string {
	var terms []string
	for _, word := range strings.Fields(strings.ToValidUTF8(query, " ")) {
		word = strings.ReplaceAll(word, "\x00", " ")
		if strings.IndexFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) < 0 {
			continue
		}
		if len(word) > maxTermBytes {
			word = strings.ToValidUTF8(word[:maxTermBytes], "")
		}
		terms = append(terms, `"`+strings.ReplaceAll(spaced(word), `"`, `""`)+`"`)
		if len(terms) == maxTerms {
			break
		}
	}
	return terms
}
