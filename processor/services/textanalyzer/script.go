package textanalyzer

import "unicode"

// script groups letters by writing system as far as it matters for telling
// languages.
type script uint8

const (
	noScript script = iota
	latin
	cyrillic
	arabic
	devanagari
	han
	kana
	hangul
	otherScript // one that only one common language is written in
	scriptCount
)

func scriptOf(r rune) script {
	switch {
	case r < 0x80:
		if r|0x20 >= 'a' && r|0x20 <= 'z' {
			return latin
		}
		return noScript
	case r >= 0xC0 && r <= 0x24F && r != 0xD7 && r != 0xF7, r >= 0x1E00 && r <= 0x1EFF:
		return latin
	case r >= 0x400 && r <= 0x52F:
		return cyrillic
	case r >= 0x620 && r <= 0x6FF, r >= 0x750 && r <= 0x77F, r >= 0xFB50 && r <= 0xFDFF, r >= 0xFE70 && r <= 0xFEFC:
		return arabic
	case r >= 0x900 && r <= 0x97F:
		return devanagari
	case r >= 0xAC00 && r <= 0xD7A3, r >= 0x1100 && r <= 0x11FF, r >= 0x3130 && r <= 0x318F:
		return hangul
	case r >= 0x3041 && r <= 0x30FF, r >= 0xFF66 && r <= 0xFF9F:
		return kana
	case isRunRune(r):
		return han
	case unicode.IsLetter(r):
		return otherScript
	}
	return noScript
}

// languageOf is the common language of a script that has just one; "" if the
// script is not known.
func languageOf(r rune) string {
	ranges := [...]struct {
		low, high rune
		code      string
	}{
		{0x370, 0x3FF, "el"}, {0x1F00, 0x1FFF, "el"}, {0x531, 0x58F, "hy"}, {0x591, 0x5F4, "he"}, {0x980, 0x9FF, "bn"},
		{0xA00, 0xA7F, "pa"}, {0xA80, 0xAFF, "gu"}, {0xB00, 0xB7F, "or"}, {0xB80, 0xBFF, "ta"}, {0xC00, 0xC7F, "te"},
		{0xC80, 0xCFF, "kn"}, {0xD00, 0xD7F, "ml"}, {0xD80, 0xDFF, "si"}, {0xE00, 0xE7F, "th"}, {0xE80, 0xEFF, "lo"},
		{0xF00, 0xFFF, "bo"}, {0x1000, 0x109F, "my"}, {0x10A0, 0x10FF, "ka"}, {0x1200, 0x137F, "am"}, {0x1780, 0x17FF, "km"},
	}
	for _, s := range ranges {
		if r >= s.low && r <= s.high {
			return s.code
		}
	}
	return ""
}

// census counts the letters of a sample by script.
type census struct {
	letters [scriptCount]int
	others  map[string]int
	total   int
}

func takeCensus(tokens []token) census {
	c := census{others: map[string]int{}}
	for _, t := range tokens {
		if t.kind != wordToken && t.kind != runToken {
			continue
		}
		for _, r := range t.text {
			s := scriptOf(r)
			if s == noScript {
				continue
			}
			c.letters[s]++
			c.total++
			if s == otherScript {
				c.others[languageOf(r)]++
			}
		}
	}
	return c
}

// weight is a script's letters in terms of Latin ones: a Chinese character
// says as much as three of them, a Korean syllable as two.
func (c *census) weight(s script) int {
	switch s {
	case han, kana:
		return 3 * c.letters[s]
	case hangul:
		return 2 * c.letters[s]
	}
	return c.letters[s]
}

// dominant is the script that the text is in, noScript if it is mixed. Kana
// and Chinese characters count together; the answer for them is kana if there
// is enough of it to be Japanese.
func (c *census) dominant() (script, float64) {
	sum, best, most := 0, noScript, 0
	for s := latin; s < scriptCount; s++ {
		w := c.weight(s)
		sum += w
		if s == han {
			w += c.weight(kana)
		}
		if w > most && s != kana {
			best, most = s, w
		}
	}
	share := float64(most) / float64(max(sum, 1))
	if share < 0.6 {
		return noScript, share
	}
	if best == han && c.letters[kana] >= 2 && c.letters[kana]*8 >= c.letters[han] {
		best = kana
	}
	return best, share
}
