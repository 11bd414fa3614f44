package textanalyzer

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a summary: sentences given unless asked otherwise, and at most.
const (
	defaultSentences = 3
	maxSentences     = 20
)

// summarize picks the sentences whose words are most frequent in the text and
// gives them in the order of the text, as they stand there. A text that has no
// more sentences than asked for comes back whole, if it is short.
func (lib *library) summarize(ctx context.Context, doc *document, code string, most int) (string, error) {
	type ranked struct {
		index int
		score float64
	}
	l := lib.lexicons[code]
	terms, frequency, err := sentenceTerms(ctx, doc, l)
	if err != nil {
		return "", err
	}
	order := make([]ranked, 0, len(terms))
	for i, words := range terms {
		score := 0.0
		for _, w := range words {
			score += float64(frequency[w])
		}
		// The mean alone would favour sentences of one word.
		score /= float64(len(words) + 4)
		if i == 0 {
			score *= 1.25
		}
		order = append(order, ranked{i, score})
	}
	slices.SortFunc(order, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.index, b.index))
	})
	order = order[:min(most, len(order))]
	slices.SortFunc(order, func(a, b ranked) int { return cmp.Compare(a.index, b.index) })
	parts := make([]string, 0, len(order))
	for _, r := range order {
		parts = append(parts, doc.quote(r.index))
	}
	return joinSentences(parts), nil
}

// sentenceTerms lists each sentence's content words and counts them over the
// text.
func sentenceTerms(ctx context.Context, doc *document, l *lexicon) ([][]string, map[string]int, error) {
	pace := pacer{ctx: ctx}
	frequency := map[string]int{}
	terms := make([][]string, len(doc.sentences))
	for i, s := range doc.sentences {
		for _, t := range doc.tokens[s.first:s.last] {
			if err := pace.step(); err != nil {
				return nil, nil, err
			}
			switch {
			case t.kind == wordToken && l.content(t.text):
				terms[i] = append(terms[i], l.bare(t.text))
			case t.kind == runToken:
				terms[i] = append(terms[i], l.runWords(t.text)...)
			}
		}
		for _, w := range terms[i] {
			frequency[w]++
		}
	}
	return terms, frequency, nil
}

// quote is a sentence as it stands in the text, up to where the next begins.
func (d *document) quote(i int) string {
	start, end := d.sentences[i].start, len(d.text)
	if i == 0 {
		start = 0
	}
	if i+1 < len(d.sentences) {
		end = d.sentences[i+1].start
	}
	s := strings.TrimSpace(d.text[start:end])
	if len(s) > 2*maxSentence {
		cut := 2 * maxSentence
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return s
}

// joinSentences sets a space between sentences unless they are in a script
// that sets none.
func joinSentences(parts []string) string {
	var b strings.Builder
	for i, p := range parts {
		if r, _ := utf8.DecodeRuneInString(p); i > 0 && !isRunRune(r) {
			b.WriteByte(' ')
		}
		b.WriteString(p)
	}
	return b.String()
}
