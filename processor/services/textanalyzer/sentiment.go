package textanalyzer

import (
	"context"
	"math"
	"strings"
)

// Sentiment says how the writer feels. Score runs from -1 to 1; Label is
// positive, negative or neutral.
type Sentiment struct {
	Label string  `json:"label"`
	Score float64 `json:"score"`
}

// Constants of the VADER rule: how much a neighbour changes a valence, and how
// a sum of valences is brought between -1 and 1.
const (
	boost          = 0.293
	negated        = -0.74
	capitals       = 0.733
	exclamation    = 0.292
	contrastBefore = 0.5
	contrastAfter  = 1.5
	alpha          = 15.0
	reach          = 3 // tokens that a modifier reaches
	// labelScore is the least score that is not neutral: a single weak word
	// does not make a sentiment.
	labelScore = 0.15
	// windowTokens is how much text is scored as a whole. Longer texts are the
	// mean of their windows, or every long text would be at an end of the scale.
	windowTokens = 120
)

func labelled(score float64) Sentiment {
	score = math.Round(score*1000) / 1000
	switch {
	case score >= labelScore:
		return Sentiment{"positive", score}
	case score <= -labelScore:
		return Sentiment{"negative", score}
	}
	return Sentiment{"neutral", score + 0} // no -0
}

func normalize(sum float64) float64 { return sum / math.Sqrt(sum*sum+alpha) }

// sentiment scores a text in a language; one without a lexicon by its emoji.
func (lib *library) sentiment(ctx context.Context, doc *document, code string) (Sentiment, error) {
	pace := pacer{ctx: ctx}
	l := lib.lexicons[code]
	var total, weights float64
	for _, w := range windows(doc.sentences) {
		var score float64
		if code == "en" {
			score = lib.english.score(doc.text[w.start:w.end], doc.tokens[w.first:w.last])
		} else {
			score = lib.scoreWindow(l, doc, w)
		}
		if weight := float64(w.last - w.first); score != 0 {
			total += score * weight
			weights += weight
		}
		pace.steps += w.last - w.first
		if pace.ctx.Err() != nil {
			return Sentiment{}, context.Cause(ctx)
		}
	}
	return labelled(total / math.Max(weights, 1)), nil
}

// windows joins sentences to stretches of about windowTokens.
func windows(sentences []sentence) []sentence {
	var out []sentence
	for _, s := range sentences {
		if n := len(out); n > 0 && s.last-out[n-1].first <= windowTokens {
			out[n-1].last, out[n-1].end = s.last, s.end
			continue
		}
		out = append(out, s)
	}
	return out
}

func (lib *library) scoreWindow(l *lexicon, doc *document, w sentence) float64 {
	tokens := doc.tokens[w.first:w.last]
	if l.sentimental() {
		tokens = segment(tokens, l.words, elides(l.code))
	}
	sum, marks := 0.0, 0
	for start := 0; start < len(tokens); {
		end := start
		for end < len(tokens) && tokens[end].kind != endToken {
			end++
		}
		sum += lib.scoreSentence(l, tokens[start:end])
		for ; end < len(tokens) && tokens[end].kind == endToken; end++ {
			if tokens[end].text == "!" || tokens[end].text == "！" {
				marks++
			}
		}
		start = end
	}
	if sum != 0 {
		sum += math.Copysign(float64(min(marks, 4))*exclamation, sum)
	}
	return normalize(sum)
}

// scored is a token or a phrase with what the lexicon says of it.
type scored struct {
	entry
	kind  tokenKind
	upper bool
}

// scoreSentence adds up the valences of a sentence's words, each changed by
// what stands near it.
func (lib *library) scoreSentence(l *lexicon, tokens []token) float64 {
	items := lib.lookUp(l, tokens)
	shouting := mixedCase(tokens)
	before, after, contrasted := 0.0, 0.0, false
	for i, it := range items {
		if it.role&contrasts != 0 && !it.valued {
			before, after, contrasted = before+after, 0, true
		}
		if it.valued {
			after += modified(items, i, shouting)
		}
	}
	if !contrasted {
		return after
	}
	return before*contrastBefore + after*contrastAfter
}

func (lib *library) lookUp(l *lexicon, tokens []token) []scored {
	items := make([]scored, 0, len(tokens))
	for i := 0; i < len(tokens); {
		t := tokens[i]
		item, n := scored{kind: t.kind, upper: t.upper}, 1
		switch {
		case t.kind == symbolToken:
			for _, r := range t.text {
				item.valence, item.valued = lib.emoji[r], lib.emoji[r] != 0
			}
		case l.sentimental() && (t.kind == wordToken || t.kind == runToken):
			item.entry, n = l.meaning(tokens, i)
		}
		items = append(items, item)
		i += n
	}
	return items
}

// meaning looks up the phrase or word at i, if need be without the particles
// written together with it.
func (l *lexicon) meaning(tokens []token, i int) (entry, int) {
	if e, n, ok := l.words.match(tokens, i); ok {
		return e, n
	}
	word := fold(tokens[i].text)
	for _, clitic := range l.clitics {
		if rest, ok := strings.CutPrefix(word, clitic); ok && len(rest) >= 6 {
			if e, ok := l.words.find(rest); ok {
				return e, 1
			}
		}
	}
	return entry{}, 1
}

// modified is the valence of items[i] after its neighbours had their say.
func modified(items []scored, i int, shouting bool) float64 {
	it := items[i]
	v := it.valence
	if it.upper && shouting && v != 0 {
		v += math.Copysign(capitals, v)
	}
	flip := false
	for d := 1; d <= reach && i-d >= 0 && items[i-d].kind != pauseToken; d++ {
		near := items[i-d]
		fade := 1 - 0.05*float64(d-1)
		if near.role&intensifies != 0 {
			v += math.Copysign(boost*fade, v)
		}
		if near.role&diminishes != 0 {
			v -= math.Copysign(boost*fade, v)
		}
		flip = flip || near.role&negates != 0
		if near.role&contrasts != 0 {
			break
		}
	}
	if it.kind != symbolToken && (flip || negatedAfter(items, i)) {
		v *= negated
	}
	return v
}

// negatedAfter looks for a negation that follows ("gefällt mir nicht"). One
// with another valued word close behind belongs to that one.
func negatedAfter(items []scored, i int) bool {
	for d := 1; d <= reach && i+d < len(items) && items[i+d].kind != pauseToken; d++ {
		near := items[i+d]
		if near.valued && near.valence != 0 || near.role&contrasts != 0 {
			return false
		}
		if near.role&negatesAfter == 0 {
			continue
		}
		if near.role&negates == 0 {
			return true
		}
		for k := i + d + 1; k <= i+d+2 && k < len(items) && items[k].kind != pauseToken; k++ {
			if items[k].valued {
				return false
			}
		}
		return true
	}
	return false
}

// mixedCase reports whether some but not all words are in capitals.
func mixedCase(tokens []token) bool {
	upper, words := 0, 0
	for _, t := range tokens {
		if t.kind == wordToken {
			words++
			if t.upper {
				upper++
			}
		}
	}
	return upper > 0 && upper < words
}
