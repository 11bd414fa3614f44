package textanalyzer

import (
	"math"
	"strconv"
	"strings"

	"github.com/jonreiter/govader"
)

// english scores English with VADER, whose lexicon is extended by ours.
type english struct {
	vader *govader.SentimentIntensityAnalyzer
	// words is VADER's lexicon before it was extended.
	words map[string]struct{}
	// phrases are made one word before VADER sees them.
	phrases *dictionary[entry]
	emoji   map[rune]float64
}

func newEnglish(l *lexicon, emoji map[rune]float64) *english {
	e := &english{vader: govader.NewSentimentIntensityAnalyzer(), words: map[string]struct{}{}, phrases: l.words,
		emoji: emoji}
	for word := range e.vader.Lexicon {
		e.words[word] = struct{}{}
	}
	for word, entry := range l.words.exact {
		if entry.valued {
			e.vader.Lexicon[strings.ReplaceAll(word, " ", "_")] = entry.valence
		}
	}
	// VADER describes emoji in words that it mostly does not know ("red
	// heart"); ours stand for themselves.
	clear(e.vader.EmojiDict)
	for r, valence := range emoji {
		e.vader.Lexicon[emojiWord(r)] = valence
	}
	return e
}

func emojiWord(r rune) string { return "emoji" + strconv.FormatInt(int64(r), 16) }

// score is VADER's compound score of a text; tokens are the text's.
func (e *english) score(text string, tokens []token) float64 {
	compound := e.vader.PolarityScores(e.prepare(text, tokens)).Compound
	if math.IsNaN(compound) {
		return 0
	}
	return compound
}

// prepare writes the words with one space between them, which is all that
// VADER takes for a separator, emoji as words and phrases as one.
func (e *english) prepare(text string, tokens []token) string {
	var b strings.Builder
	b.Grow(len(text) + 16)
	base := 0
	if len(tokens) > 0 {
		base = tokens[0].start
	}
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.kind {
		case symbolToken:
			for _, r := range t.text {
				b.WriteByte(' ')
				b.WriteString(emojiWord(r))
			}
			continue
		case pauseToken:
			continue
		case endToken:
			b.WriteString(t.text)
			continue
		}
		b.WriteByte(' ')
		if _, n, ok := e.phrases.match(tokens, i); ok && n > 1 {
			phrase, _ := joinWords(tokens[i : i+n])
			b.WriteString(strings.ReplaceAll(phrase, " ", "_"))
			i += n - 1
			continue
		}
		b.WriteString(strings.ReplaceAll(text[t.start-base:t.end-base], "’", "'"))
	}
	return b.String()
}
