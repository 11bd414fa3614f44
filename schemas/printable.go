package schemas

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// invisible are the characters that no name may have, beside the control characters: line and paragraph separators,
// those that turn the direction of what stands beside them, and the byte order mark. Two ids that look alike must
// not be two, and a log or a terminal that shows one must show nothing else. It is the pattern of the schemas; a
// test compares the two.
const invisible = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"

// unprintable is the first character of a name that it may not have, -1 if it has none.
func unprintable(s string) rune {
	ascii := true
	for i := range len(s) { // nearly always that is all: this runs for every task
		if c := s[i]; c < ' ' || c == 0x7f {
			return rune(c)
		} else if c >= utf8.RuneSelf {
			ascii = false
		}
	}
	if ascii {
		return -1
	}
	for _, c := range s {
		if unicode.IsControl(c) || strings.ContainsRune(invisible, c) {
			return c
		}
	}
	if !utf8.ValidString(s) {
		return utf8.RuneError
	}
	return -1
}

func checkPrintable(s string) string {
	switch c := unprintable(s); c {
	case -1:
		return ""
	case utf8.RuneError:
		return "has bytes that are not UTF-8; encode the text as UTF-8"
	default:
		return fmt.Sprintf("has the character %U, which cannot be seen; leave it out", c)
	}
}

// printable is a text as it can be shown: what cannot be seen is replaced.
func printable(s string) string {
	if unprintable(s) == -1 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if unprintable(string(c)) != -1 {
			return utf8.RuneError
		}
		return c
	}, s)
}

// checkName is for names that need not be given.
func checkName(s string, most int) string {
	if p := checkLength(s, most); p != "" {
		return p
	}
	return checkPrintable(s)
}
