package textanalyzer

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/abadojack/whatlanggo"
)

// uncertain is the language of a text that could not be told.
const uncertain = "uncertain"

// detection is what was found out about a text's language.
type detection struct {
	// Code is ISO 639-1 or uncertain; Confidence runs from 0 to 1 and is 0 with
	// uncertain.
	Code       string
	Confidence float64
	// Guess is the likeliest language even if Code is uncertain; "" if there
	// is no evidence at all.
	Guess string
}

func sure(code string, confidence float64) detection {
	return detection{Code: code, Guess: code, Confidence: round2(math.Min(confidence, 1))}
}

func unsure(guess string) detection { return detection{Code: uncertain, Guess: guess} }

// sampleTokens bounds what is looked at: that many tokens from the beginning,
// the middle and the end.
const sampleTokens = 400

func sample(tokens []token) []token {
	if len(tokens) <= 3*sampleTokens {
		return tokens
	}
	middle := len(tokens)/2 - sampleTokens/2
	return slices.Concat(tokens[:sampleTokens], tokens[middle:middle+sampleTokens], tokens[len(tokens)-sampleTokens:])
}

// detect tells the language of a text by its script and, where several
// languages share one, by their common words, their letters and, if that does
// not settle it, trigrams.
func (lib *library) detect(tokens []token) detection {
	tokens = sample(tokens)
	c := takeCensus(tokens)
	s, share := c.dominant()
	if s != latin && share < 0.85 && lib.knownLatin(tokens) >= 3 {
		return unsure(lib.likeliest(tokens, &c))
	}
	switch s {
	case noScript:
		return unsure(lib.likeliest(tokens, &c))
	case kana:
		return scriptVerdict("ja", c.letters[kana]+c.letters[han], 2, share)
	case hangul:
		return scriptVerdict("ko", c.letters[hangul], 2, share)
	case han:
		return lib.chinese(tokens, c.letters[han], share)
	case otherScript:
		code, n := mostCommon(c.others)
		return scriptVerdict(code, n, 3, share)
	}
	return lib.byWords(tokens, s, c.letters[s])
}

// knownLatin counts listed words in Latin letters: in a text of another script
// one or two are brands, more are a second language.
func (lib *library) knownLatin(tokens []token) int {
	n := 0
	for _, t := range tokens {
		if r, _ := utf8.DecodeRuneInString(t.text); t.kind == wordToken && scriptOf(r) == latin &&
			lib.evidence.count(t.text, map[string]float64{}) {
			n++
		}
	}
	return n
}

// scriptVerdict is for scripts that one language is written in.
func scriptVerdict(code string, letters, least int, share float64) detection {
	if code == "" || letters < least {
		return unsure(code)
	}
	return sure(code, share*(1-1/float64(letters+2)))
}

// chinese decides on text of Chinese characters alone, which can be Japanese
// if it is short or has simplifications that only Japan has.
func (lib *library) chinese(tokens []token, letters int, share float64) detection {
	const onlyJapan = "気対応駅円読売発様験図労働込畑峠辻々仏広転軽鉄絵桜沢徳拝検圧営"
	zh := lib.lexicons["zh"]
	common := 0
	for _, t := range tokens {
		if t.kind != runToken {
			continue
		}
		for _, r := range t.text {
			if strings.ContainsRune(onlyJapan, r) {
				return scriptVerdict("ja", letters, 4, share*0.8)
			}
			if zh.isStop(string(r)) && r != '中' && r != '大' && r != '小' && r != '上' && r != '下' && r != '一' {
				common++
			}
		}
	}
	if letters < 2 || letters < 6 && common == 0 {
		return unsure("zh")
	}
	return scriptVerdict("zh", letters, 2, share)
}

// likeliest is the guess for text of mixed scripts.
func (lib *library) likeliest(tokens []token, c *census) string {
	if c.total == 0 {
		return ""
	}
	best := latin
	for s := latin; s < scriptCount; s++ {
		if c.weight(s) > c.weight(best) {
			best = s
		}
	}
	switch best {
	case kana:
		return "ja"
	case han:
		return "zh"
	case hangul:
		return "ko"
	case otherScript:
		return ""
	}
	return lib.byWords(tokens, best, c.letters[best]).Guess
}

// byWords decides between languages of one script.
func (lib *library) byWords(tokens []token, s script, letters int) detection {
	scores := map[string]float64{}
	words, known := 0, 0
	var text strings.Builder
	for _, t := range tokens {
		if t.kind != wordToken {
			continue
		}
		words++
		if lib.evidence.count(t.text, scores) {
			known++
		}
		if text.Len() < 4096 {
			text.WriteString(t.text)
			text.WriteByte(' ')
		}
	}
	if s == cyrillic {
		discountRussian(scores, text.String(), letters)
	}
	best, second := ranking(scores)
	if best.weight < 4 || best.weight < 3*second.weight {
		if v, foreign := trigrams(text.String(), letters, words); v.weight > 0 {
			if foreign = foreign && !lib.known(v.code); foreign && best.weight < 0.2*float64(words) {
				return sure(v.code, 0.6)
			}
			scores[v.code] += v.weight
			best, second = ranking(scores)
		}
	}
	if words == 1 && letters < 5 {
		known = 0
	}
	return verdict(best, second, words, known)
}

func (lib *library) known(code string) bool { return lib.lexicons[code] != nil }

// discountRussian: long Cyrillic text without Russian's own letters is another
// language, many of whose small words Russian has too.
func discountRussian(scores map[string]float64, text string, letters int) {
	if letters >= 40 && !strings.ContainsAny(text, "ыэё") {
		scores["ru"] *= 0.5
	}
}

// verdict weighs the best language against the second.
func verdict(best, second vote, words, known int) detection {
	switch {
	case best.weight <= 0:
		return unsure("")
	case best.weight < 0.6, best.weight < 1.4*second.weight,
		words > 6 && best.weight < 0.12*float64(words), known < min(2, words):
		return unsure(best.code)
	}
	margin := (best.weight - second.weight) / best.weight
	return sure(best.code, (0.4+0.6*margin)*(1-0.4/(1+best.weight)))
}

// ranking is the best and the second language; ties go by name.
func ranking(scores map[string]float64) (best, second vote) {
	for code, weight := range scores {
		v := vote{code, weight}
		if ahead(v, best) {
			best, second = v, best
		} else if ahead(v, second) {
			second = v
		}
	}
	return best, second
}

func ahead(a, b vote) bool {
	return a.weight > b.weight || a.weight == b.weight && (b.code == "" || a.code < b.code)
}

// trigrams is the vote of the trigram statistics, which grows with the text's
// length; reliable says that it may stand alone.
func trigrams(text string, letters, words int) (v vote, reliable bool) {
	info := whatlanggo.Detect(text)
	code := info.Lang.Iso6391()
	if code == "nb" || code == "nn" {
		code = "no"
	}
	if code == "" {
		return vote{}, false
	}
	weight := math.Max(2, 0.15*float64(words)) * info.Confidence * math.Min(1, float64(letters)/60)
	return vote{code, weight}, info.Confidence >= 0.9 && letters >= 80
}

func mostCommon(counts map[string]int) (string, int) {
	best, most := "", 0
	for code, n := range counts {
		if n > most || n == most && code < best {
			best, most = code, n
		}
	}
	return best, most
}

func round2(x float64) float64 { return math.Round(x*100) / 100 }
