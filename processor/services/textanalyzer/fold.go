package textanalyzer

import (
	"strings"
	"unicode/utf8"
)

// fold writes a lower-case word in its plainest form: without accents, Arabic
// without vowel signs and with one form of alef, ya and ta marbuta, Russian
// without the dots of yo. Composed and decomposed spellings become the same.
// ASCII comes back as it is, without a copy.
func fold(s string) string {
	if isASCII(s) {
		return s
	}
	return strings.Map(foldRune, s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldRune is a rune's plain form, -1 if it falls away.
func foldRune(r rune) rune {
	switch {
	case r < 0xC0:
		return r
	case r <= 0x24F || r >= 0x1E00 && r <= 0x1EFF:
		return foldLatin(r)
	case r >= 0x300 && r <= 0x36F: // combining accents
		return -1
	case r >= 0x400 && r <= 0x4FF:
		return foldCyrillic(r)
	case r >= 0x610 && r <= 0x6FF:
		return foldArabic(r)
	case r == 0x93C: // nukta: often left out in Hindi
		return -1
	case r >= 0x958 && r <= 0x95F: // Devanagari letters composed with nukta
		return []rune("कखगजडढफय")[r-0x958]
	}
	return r
}

func foldLatin(r rune) rune {
	const plain = "aàáâãäåāăąǎ cçćĉċč dďđ eèéêëēĕėęě gĝğġģ hĥħ iìíîïĩīĭįıǐ jĵ kķ lĺļľŀł nñńņňŉ oòóôõöøōŏőǒơ rŕŗř sśŝşšș " +
		"tţťŧț uùúûüũūŭůűųǔư wŵ yýÿŷ zźżž"
	if r >= 0x1EA0 { // Vietnamese, letter by letter in pairs of cases
		return foldVietnamese(r)
	}
	base := r
	for _, p := range plain {
		switch {
		case p < 0x80:
			base = p
		case p == r:
			return base
		}
	}
	return r
}

func foldVietnamese(r rune) rune {
	switch {
	case r <= 0x1EB7:
		return 'a'
	case r <= 0x1EC7:
		return 'e'
	case r <= 0x1ECB:
		return 'i'
	case r <= 0x1EE3:
		return 'o'
	case r <= 0x1EF1:
		return 'u'
	}
	return 'y'
}

func foldCyrillic(r rune) rune {
	switch r {
	case 'ё', 'ѐ':
		return 'е'
	case 'й', 'ѝ':
		return 'и'
	case 'ї':
		return 'і'
	case 'ґ':
		return 'г'
	}
	return r
}

func foldArabic(r rune) rune {
	switch {
	case r >= 0x610 && r <= 0x61A, r >= 0x64B && r <= 0x65F, r == 0x670, r == 0x640: // vowel signs, stretching
		return -1
	case r == 'أ', r == 'إ', r == 'آ', r == 'ٱ':
		return 'ا'
	case r == 'ى':
		return 'ي'
	case r == 'ة':
		return 'ه'
	case r == 'ؤ':
		return 'و'
	}
	return r
}
