package textanalyzer

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	wordToken   tokenKind = iota // letters
	runToken                     // Chinese or Japanese, which set no spaces
	numberToken                  // digits alone
	symbolToken                  // one emoji or other symbol
	pauseToken                   // a comma and the like: phrases end here
	endToken                     // end of a sentence
)

// token is a piece of the text; text is in lower case, start and end are byte
// offsets into the text.
type token struct {
	text       string
	start, end int
	kind       tokenKind
	upper      bool // more than one letter and all capitals
}

// Bounds of one token in bytes: longer words and runs are cut.
const (
	maxTokenBytes = 192
	maxSentence   = 1200
)

// pacer looks at the context now and then.
type pacer struct {
	ctx   context.Context
	steps int
}

func (p *pacer) step() error {
	if p.steps++; p.steps%2048 != 0 || p.ctx.Err() == nil {
		return nil
	}
	return context.Cause(p.ctx)
}

// tokenize cuts a text into tokens. Links, mail addresses and @names are no
// words of any language and become pauses.
func tokenize(ctx context.Context, text string) ([]token, error) {
	pace := pacer{ctx: ctx}
	tokens := make([]token, 0, len(text)/6+4)
	for i := 0; i < len(text); {
		if err := pace.step(); err != nil {
			return nil, err
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case linkAt(text, i, r):
			end := fieldEnd(text, i)
			tokens = append(tokens, token{start: i, end: end, kind: pauseToken})
			i = end
		case wordRune(r):
			t := scanWord(text, i, r)
			tokens = append(tokens, t)
			i = t.end
		default:
			if kind, ok := markKind(text, i, r, size); ok {
				tokens = append(tokens, token{text: text[i : i+size], start: i, end: i + size, kind: kind})
			}
			i += size
		}
	}
	return tokens, nil
}

// linkAt reports whether a link, a mail address or an @name starts at i.
func linkAt(text string, i int, r rune) bool {
	if i > 0 && r != '@' && !unicode.IsSpace(rune(text[i-1])) && text[i-1] != '(' {
		return false
	}
	rest := text[i:min(len(text), i+64)]
	switch r {
	case '@':
		return len(rest) > 1 && wordRune(rune(rest[1]))
	case 'h', 'w', 'H', 'W':
		lower := strings.ToLower(rest[:min(8, len(rest))])
		if strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "www.") {
			return true
		}
	}
	at := strings.IndexByte(rest, '@')
	return at > 0 && isMailName(rest[:at]) && at+1 < len(rest) && wordRune(rune(rest[at+1]))
}

func isMailName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && strings.IndexByte("._+-", c) < 0 {
				return false
			}
		}
	}
	return true
}

func fieldEnd(text string, i int) int {
	for j, r := range text[i:] {
		if unicode.IsSpace(r) || r > 0x2E80 {
			return i + max(j, 1)
		}
	}
	return len(text)
}

func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) && !isVariation(r) || unicode.IsDigit(r)
}

func isVariation(r rune) bool { return r >= 0xFE00 && r <= 0xFE0F || r == 0x20E3 }

// insideWord are marks that join two letters to one word.
func insideWord(r rune) bool {
	return r == '\'' || r == '’' || r == 0x200C || r == 0x200D || r == 0xAD
}

func scanWord(text string, start int, first rune) token {
	run, digits, upper, letters := isRunRune(first), true, true, 0
	end := start
	for end < len(text) && end-start < maxTokenBytes {
		r, size := utf8.DecodeRuneInString(text[end:])
		if insideWord(r) && end > start && end+size < len(text) {
			next, _ := utf8.DecodeRuneInString(text[end+size:])
			if !unicode.IsLetter(next) || isRunRune(next) != run {
				break
			}
		} else if !wordRune(r) || isRunRune(r) != run && !unicode.IsMark(r) {
			break
		}
		if !unicode.IsDigit(r) {
			digits = false
			letters++
			upper = upper && unicode.IsUpper(r)
		}
		end += size
	}
	t := token{start: start, end: end, upper: upper && letters > 1}
	switch t.text = normalWord(text[start:end]); {
	case run:
		t.kind = runToken
	case digits:
		t.kind = numberToken
	}
	return t
}

func normalWord(s string) string {
	s = strings.ToLower(s)
	if isASCII(s) {
		return s
	}
	return strings.NewReplacer("’", "'", "\u00ad", "", "\u200c", "", "\u200d", "").Replace(s)
}

// isRunRune reports Chinese characters and Japanese kana.
func isRunRune(r rune) bool {
	return r >= 0x2E80 && (r >= 0x3041 && r <= 0x30FF && r != 0x30FB || r >= 0x3400 && r <= 0x9FFF ||
		r == '々' || r >= 0xF900 && r <= 0xFAFF || r >= 0x20000 && r <= 0x3FFFF || r >= 0xFF66 && r <= 0xFF9F)
}

// markKind says what a rune outside words is; false if it says nothing.
func markKind(text string, i int, r rune, size int) (tokenKind, bool) {
	switch r {
	case '!', '?', '。', '！', '？', '।', '؟', '…', '｡', '۔':
		return endToken, true
	case '.':
		return endToken, sentenceDot(text, i+size)
	case '\n':
		return endToken, i > 0 && text[i-1] == '\n'
	case ',', ';', ':', '(', ')', '[', ']', '"', '«', '»', '“', '”', '„', '、', '，', '；', '：', '،', '؛', '–', '—', '「', '」',
		'/', '|', '·':
		return pauseToken, true
	}
	return symbolToken, r > 0x2000 && unicode.IsSymbol(r) && r != '\ufffd' && (r < 0x1F3FB || r > 0x1F3FF)
}

// sentenceDot reports whether a full stop before next ends a sentence: a space
// or the end follows, not "3.5" or "e.g".
func sentenceDot(text string, next int) bool {
	if next >= len(text) {
		return true
	}
	r, _ := utf8.DecodeRuneInString(text[next:])
	return unicode.IsSpace(r) || strings.ContainsRune(`"')]»”`, r) || r > 0x2E80
}

// sentence is a stretch of tokens [first, last) and of the text [start, end).
type sentence struct{ first, last, start, end int }

// sentences groups the tokens; each ends with its end marks. Endless ones are
// cut at a token.
func sentences(tokens []token) []sentence {
	var out []sentence
	for i := 0; i < len(tokens); {
		s := sentence{first: i, start: tokens[i].start}
		for i < len(tokens) && tokens[i].kind != endToken && tokens[i].end-s.start <= maxSentence {
			i++
		}
		for i < len(tokens) && (tokens[i].kind == endToken || i == s.first) {
			i++
		}
		s.last, s.end = i, tokens[i-1].end
		out = append(out, s)
	}
	return out
}
