package textanalyzer

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unmask gives the readings of a text in which disguised words are spelled
// out, one with stretched letters shortened to one and one to two. Tokens keep
// the offsets of what they stand for; nil if nothing is disguised.
func unmask(ctx context.Context, text string) ([][]token, error) {
	var readings [][]token
	for _, keep := range []int{1, 2} {
		u := unmasker{text: text, keep: keep, pace: pacer{ctx: ctx}}
		tokens, err := u.read()
		if err != nil {
			return nil, err
		}
		if u.masked && (keep == 1 || u.stretched) {
			readings = append(readings, tokens)
		}
	}
	return readings, nil
}

// unmasker reads one text once.
type unmasker struct {
	text              string
	keep              int
	pace              pacer
	masked, stretched bool
	tokens            []token
}

func (u *unmasker) read() ([]token, error) {
	for i := 0; i < len(u.text); {
		if err := u.pace.step(); err != nil {
			return nil, err
		}
		r, size := utf8.DecodeRuneInString(u.text[i:])
		if unicode.IsSpace(r) {
			i += size
			continue
		}
		end := i
		for end < len(u.text) && end-i < maxTokenBytes {
			r, size = utf8.DecodeRuneInString(u.text[end:])
			if unicode.IsSpace(r) {
				break
			}
			end += size
		}
		u.field(i, end)
		i = end
	}
	u.joinSpelled()
	return u.tokens, nil
}

// field reads what stands between two spaces.
func (u *unmasker) field(start, end int) {
	raw := u.text[start:end]
	trimmed := strings.TrimRight(raw, ".,;:!?)]}\"'”»…")
	lead := len(trimmed) - len(strings.TrimLeft(trimmed, "([{\"'“«#"))
	start, end = start+lead, start+len(trimmed)
	if start >= end {
		u.pause(start)
		return
	}
	letters, swaps := kindsOfRunes(u.text[start:end])
	plain := letters <= swaps || strings.Contains(u.text[start:end], "://") || looksLikeMail(u.text[start:end])
	u.words(start, end, !plain)
	if len(trimmed) < len(raw) {
		u.pause(end)
	}
}

func (u *unmasker) pause(at int) {
	u.tokens = append(u.tokens, token{start: at, end: at, kind: pauseToken})
}

// words cuts a field at what is no letter, or no stand-in for one, either.
func (u *unmasker) words(start, end int, swap bool) {
	mixed := mixesScripts(u.text[start:end])
	var b strings.Builder
	from := start
	flush := func(at int) {
		if b.Len() > 0 {
			u.tokens = append(u.tokens, u.token(b.String(), from, at))
			b.Reset()
		}
	}
	for i, r := range u.text[start:end] {
		c := unicode.ToLower(plainRune(r))
		if mixed {
			c = lookalike(c)
		}
		if swap {
			c = swapped(c)
		}
		switch {
		case invisible(r):
			u.masked = true
		case c != '\'' && !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c):
			flush(start + i)
		default:
			if b.Len() == 0 {
				from = start + i
			}
			u.masked = u.masked || c != unicode.ToLower(r)
			b.WriteRune(c)
		}
	}
	flush(end)
}

// token shortens letters that stand three times or more in a row.
func (u *unmasker) token(word string, start, end int) token {
	var b strings.Builder
	runes := []rune(word)
	for i := 0; i < len(runes); {
		j := i
		for j < len(runes) && runes[j] == runes[i] {
			j++
		}
		n := j - i
		if n >= 3 {
			n, u.masked, u.stretched = u.keep, true, true
		}
		for range n {
			b.WriteRune(runes[i])
		}
		i = j
	}
	return token{text: b.String(), start: start, end: end, kind: wordToken}
}

// joinSpelled joins three and more single letters in a row ("f u c k").
func (u *unmasker) joinSpelled() {
	out := u.tokens[:0:0]
	for i := 0; i < len(u.tokens); {
		j := i
		for j < len(u.tokens) && u.tokens[j].kind == wordToken && utf8.RuneCountInString(u.tokens[j].text) == 1 && j-i < 24 {
			j++
		}
		if j-i < 3 {
			out = append(out, u.tokens[i:max(j, i+1)]...)
			i = max(j, i+1)
			continue
		}
		var b strings.Builder
		for _, t := range u.tokens[i:j] {
			b.WriteString(t.text)
		}
		out = append(out, token{text: b.String(), start: u.tokens[i].start, end: u.tokens[j-1].end, kind: wordToken})
		u.masked = true
		i = j
	}
	u.tokens = out
}

// plainRune undoes full-width and mathematical alphabets.
func plainRune(r rune) rune {
	switch {
	case r >= 0xFF21 && r <= 0xFF5A:
		return r - 0xFEE0
	case r >= 0x1D400 && r <= 0x1D6A3:
		if n := (r - 0x1D400) % 52; n < 26 {
			return 'a' + n
		} else {
			return 'a' + n - 26
		}
	}
	return r
}

// lookalike is the Latin letter that a Cyrillic or Greek one looks like.
func lookalike(r rune) rune {
	const pairs = "аaеeоoрpсcуyхxіiјjѕsһhԁdкkмmтtвbнhαaεeοoρpυuνvκkιiτtχx"
	var from rune
	for i, p := range []rune(pairs) {
		if i%2 == 0 {
			from = p
		} else if from == r {
			return p
		}
	}
	return r
}

// swapped is the letter that a digit or sign is written for.
func swapped(r rune) rune {
	switch r {
	case '0':
		return 'o'
	case '1', '!', '|':
		return 'i'
	case '3', '€':
		return 'e'
	case '4', '@':
		return 'a'
	case '5', '$':
		return 's'
	case '7', '+':
		return 't'
	}
	return r
}

func kindsOfRunes(s string) (letters, swaps int) {
	for _, r := range s {
		switch {
		case unicode.IsLetter(r):
			letters++
		case swapped(r) != r:
			swaps++
		}
	}
	return letters, swaps
}

// mixesScripts reports Latin letters beside Cyrillic or Greek ones.
func mixesScripts(s string) bool {
	if isASCII(s) {
		return false
	}
	hasLatin, hasOther := false, false
	for _, r := range s {
		hasLatin = hasLatin || scriptOf(plainRune(r)) == latin
		hasOther = hasOther || scriptOf(r) == cyrillic || r >= 0x370 && r <= 0x3FF
	}
	return hasLatin && hasOther
}

func invisible(r rune) bool {
	return r == 0xAD || r >= 0x200B && r <= 0x200F || r == 0x2060 || r == 0xFEFF
}

func looksLikeMail(s string) bool {
	at := strings.IndexByte(s, '@')
	return at > 0 && strings.IndexByte(s[at:], '.') > 1
}
