package textanalyzer

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of keywords: how many are given, and how many words one has at most.
const (
	maxKeywords     = 10
	maxKeywordWords = 3
)

// candidate is a keyword in the making: a phrase of content words.
type candidate struct {
	phrase string
	words  []string
	count  int
	first  int // order of appearance
	score  float64
}

// keywords names what a text is about, best first: phrases between stop words
// and pauses, scored by how often their words appear and in what company (the
// idea of RAKE). The order is the same every time.
func (lib *library) keywords(ctx context.Context, doc *document, code string) ([]string, error) {
	found := collector{index: map[string]int{}, degree: map[string]int{}, frequency: map[string]int{}}
	pace := pacer{ctx: ctx}
	l := lib.lexicons[code]
	var phrase []string
	for _, t := range doc.tokens {
		if err := pace.step(); err != nil {
			return nil, err
		}
		switch {
		case t.kind == wordToken && l.content(t.text):
			phrase = append(phrase, l.bare(t.text))
			continue
		case t.kind == runToken:
			for _, word := range l.runWords(t.text) {
				found.add([]string{word})
			}
		}
		found.add(phrase)
		phrase = phrase[:0]
	}
	found.add(phrase)
	return found.best(), nil
}

// content reports whether a word can be part of a keyword. Without a lexicon,
// length has to tell.
func (l *lexicon) content(word string) bool {
	if l == nil {
		return utf8.RuneCountInString(word) >= 5
	}
	if elides(l.code) {
		_, after, ok := strings.Cut(word, "'")
		if ok && after != "" {
			word = after
		}
	}
	if utf8.RuneCountInString(word) < 2 || l.isStop(word) {
		return false
	}
	e, ok := l.words.find(word)
	return !ok || e.role == 0
}

// bare is a word without articles and particles written together with it.
func (l *lexicon) bare(word string) string {
	if l == nil {
		return word
	}
	if elides(l.code) {
		if _, after, ok := strings.Cut(word, "'"); ok && after != "" {
			return after
		}
	}
	for _, ending := range l.endings {
		if rest, ok := strings.CutSuffix(word, ending); ok && len(rest) >= 6 {
			return rest
		}
	}
	return word
}

// runWords finds words in Chinese or Japanese text: what stands between common
// words, and for Japanese between hiragana, which seldom write nouns.
func (l *lexicon) runWords(run string) []string {
	var words []string
	var word strings.Builder
	length, kind := 0, noScript
	flush := func() {
		if length >= 2 && length <= 8 {
			words = append(words, word.String())
		}
		word.Reset()
		length = 0
	}
	for rest := run; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		if skip := l.commonAt(rest); skip > 0 {
			flush()
			rest = rest[skip:]
			continue
		}
		rest = rest[n:]
		s := scriptOf(r)
		if hiragana := r >= 0x3041 && r <= 0x309F; hiragana {
			flush()
			continue
		}
		if s != kind {
			flush()
		}
		kind = s
		word.WriteRune(r)
		length++
	}
	flush()
	return words
}

// commonAt is the length in bytes of the common or valued word that run starts
// with, 0 if there is none.
func (l *lexicon) commonAt(run string) int {
	if l == nil || !l.words.joined {
		return 0
	}
	_, longest, _ := l.words.longestAt(run)
	for n := min(12, len(run)); n > longest; n-- {
		if (n == len(run) || utf8.RuneStart(run[n])) && l.isStop(run[:n]) {
			return n
		}
	}
	return longest
}

// collector counts phrases and their words.
type collector struct {
	index             map[string]int
	candidates        []candidate
	degree, frequency map[string]int
}

// add counts a phrase; a long stretch of content words is no phrase, its words
// count alone.
func (c *collector) add(words []string) {
	if len(words) > maxKeywordWords {
		for _, w := range words {
			c.addPhrase([]string{w})
		}
		return
	}
	if len(words) > 0 {
		c.addPhrase(words)
	}
}

func (c *collector) addPhrase(words []string) {
	for _, w := range words {
		c.frequency[w]++
		c.degree[w] += len(words)
	}
	phrase := strings.Join(words, " ")
	i, ok := c.index[phrase]
	if !ok {
		i = len(c.candidates)
		c.index[phrase] = i
		c.candidates = append(c.candidates, candidate{phrase: phrase, words: slices.Clone(words), first: i})
	}
	c.candidates[i].count++
}

// addRecurring adds words that come again in other phrases as keywords of
// their own.
func (c *collector) addRecurring() {
	alone := map[string]bool{}
	for _, p := range c.candidates {
		for _, w := range p.words {
			if _, ok := c.index[w]; !ok && !alone[w] && c.frequency[w] > p.count {
				alone[w] = true
				c.candidates = append(c.candidates, candidate{phrase: w, words: []string{w}, count: c.frequency[w], first: p.first})
			}
		}
	}
}

func (c *collector) best() []string {
	c.addRecurring()
	for i := range c.candidates {
		p := &c.candidates[i]
		for _, w := range p.words {
			p.score += float64(c.degree[w]) / float64(c.frequency[w])
		}
		p.score *= float64(p.count)
	}
	slices.SortFunc(c.candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.first, b.first), strings.Compare(a.phrase, b.phrase))
	})
	words := make([]string, 0, maxKeywords)
	for _, p := range c.candidates[:min(maxKeywords, len(c.candidates))] {
		words = append(words, p.phrase)
	}
	return words
}
