package textanalyzer

import (
	"strings"
	"unicode/utf8"
)

// segment cuts tokens the way a language needs it: runs without spaces at the
// words the dictionary knows, articles off the word they are written with.
// Tokens of other kinds are passed on.
func segment[V any](tokens []token, d *dictionary[V], elides bool) []token {
	if !d.joined && !elides {
		return tokens
	}
	out := make([]token, 0, len(tokens)*2)
	for _, t := range tokens {
		switch {
		case t.kind == runToken && d.joined:
			out = appendRun(out, t, d)
		case t.kind == wordToken && elides:
			out = appendElided(out, t)
		default:
			out = append(out, t)
		}
	}
	return out
}

// appendRun cuts a run greedily into the longest known words; what is unknown
// comes character by character.
func appendRun[V any](out []token, t token, d *dictionary[V]) []token {
	for rest := t.text; rest != ""; {
		_, n, ok := d.longestAt(rest)
		if !ok {
			_, n = utf8.DecodeRuneInString(rest)
		}
		start := t.start + len(t.text) - len(rest)
		out = append(out, token{text: rest[:n], start: start, end: start + n, kind: runToken})
		rest = rest[n:]
	}
	return out
}

// appendElided cuts "l'hôtel" into "l'" and "hôtel".
func appendElided(out []token, t token) []token {
	i := strings.IndexByte(t.text, '\'')
	if i <= 0 || i > 8 || i+1 == len(t.text) {
		return append(out, t)
	}
	head, tail := t, t
	head.text, tail.text = t.text[:i+1], t.text[i+1:]
	return append(out, head, tail)
}

func elides(code string) bool { return code == "fr" || code == "it" }
