package textanalyzer

import (
	"strings"
	"unicode/utf8"
)

// maxWordBytes bounds the work of looking a word up.
const maxWordBytes = 96

// dictionary maps words, beginnings of words ("perfect*") and phrases ("five
// stars") to values. It is filled once and read by many.
type dictionary[V any] struct {
	exact  map[string]V
	prefix map[string]V
	// phrases is the most words that a phrase with this first word has.
	phrases map[string]int
	// shortest and longest prefix in bytes; longestEntry in bytes.
	shortest, longest, longestEntry int
	// joined is set where entries are matched inside runs without spaces.
	joined bool
}

func newDictionary[V any]() *dictionary[V] {
	return &dictionary[V]{exact: map[string]V{}, prefix: map[string]V{}, phrases: map[string]int{}, shortest: maxWordBytes}
}

// add enters a word; "_" separates the words of a phrase, "*" at the end stands
// for any ending. Each is entered as written and folded, and the first value
// given for a spelling stays.
func (d *dictionary[V]) add(entry string, v V) {
	entry = strings.ToLower(strings.ReplaceAll(entry, "_", " "))
	d.addSpelling(entry, v)
	if folded := fold(entry); folded != entry {
		d.addSpelling(folded, v)
	}
}

func (d *dictionary[V]) addSpelling(entry string, v V) {
	target := d.exact
	if stem, ok := strings.CutSuffix(entry, "*"); ok {
		entry, target = stem, d.prefix
		d.shortest, d.longest = min(d.shortest, len(stem)), max(d.longest, len(stem))
	}
	if _, taken := target[entry]; !taken {
		target[entry] = v
	}
	d.longestEntry = max(d.longestEntry, len(entry))
	if first, _, ok := strings.Cut(entry, " "); ok {
		d.phrases[first] = max(d.phrases[first], strings.Count(entry, " ")+1)
	}
}

// find looks a lower-case word up: as written, folded, then by its longest
// known beginning.
func (d *dictionary[V]) find(word string) (V, bool) {
	if v, ok := d.exact[word]; ok {
		return v, true
	}
	folded := fold(word)
	if v, ok := d.exact[folded]; ok {
		return v, true
	}
	if v, ok := d.findPrefix(word); ok || folded == word {
		return v, ok
	}
	return d.findPrefix(folded)
}

func (d *dictionary[V]) findPrefix(word string) (V, bool) {
	for n := min(d.longest, len(word)); n >= d.shortest && n > 0; n-- {
		if n < len(word) && !utf8.RuneStart(word[n]) {
			continue
		}
		if v, ok := d.prefix[word[:n]]; ok {
			return v, true
		}
	}
	var none V
	return none, false
}

// match finds the longest phrase, or else the word, that starts at words[i],
// and how many words it has. Phrases do not reach over a pause.
func (d *dictionary[V]) match(words []token, i int) (v V, n int, ok bool) {
	for n := min(d.phraseWords(words[i].text), len(words)-i); n > 1; n-- {
		if phrase, joined := joinWords(words[i : i+n]); joined {
			if v, ok := d.find(phrase); ok {
				return v, n, true
			}
		}
	}
	v, ok = d.find(words[i].text)
	return v, 1, ok
}

func (d *dictionary[V]) phraseWords(first string) int {
	n := d.phrases[first]
	if folded := fold(first); folded != first {
		n = max(n, d.phrases[folded])
	}
	return n
}

func joinWords(words []token) (string, bool) {
	var b strings.Builder
	for i, w := range words {
		if w.kind != wordToken && w.kind != runToken {
			return "", false
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.text)
	}
	return b.String(), true
}

// longestAt finds the longest entry at the start of s, a run of text without
// spaces, and its length in bytes.
func (d *dictionary[V]) longestAt(s string) (v V, n int, ok bool) {
	for n := min(d.longestEntry, len(s)); n > 0; n-- {
		if n < len(s) && !utf8.RuneStart(s[n]) {
			continue
		}
		if v, ok := d.exact[s[:n]]; ok {
			return v, n, true
		}
	}
	return v, 0, false
}
