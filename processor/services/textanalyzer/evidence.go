package textanalyzer

import (
	"slices"
	"strings"
)

// vote is one language's claim to a word.
type vote struct {
	code   string
	weight float64
}

// evidence tells how much a word speaks for which language. A word that many
// languages have speaks little for each.
type evidence struct {
	words    *dictionary[[]vote]
	alphabet map[rune][]vote
}

// Weights of a stop word, of another listed word and of a word that only
// VADER's lexicon knows, which holds many names and foreign words.
const (
	stopWeight   = 1.0
	listedWeight = 0.7
	vaderWeight  = 0.4
	letterWeight = 0.5
)

func newEvidence(lexicons map[string]*lexicon, english *english) *evidence {
	claims := map[string][]vote{}
	claim := func(word, code string, weight float64) {
		if !slices.ContainsFunc(claims[word], func(v vote) bool { return v.code == code }) {
			claims[word] = append(claims[word], vote{code, weight})
		}
	}
	codes := make([]string, 0, len(lexicons))
	for code := range lexicons {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		l := lexicons[code]
		if slices.Contains([]string{"zh", "ja", "ko"}, code) {
			continue // the script tells these
		}
		for word := range l.stop {
			claim(word, code, stopWeight)
		}
		for _, word := range l.vocabulary {
			if !strings.Contains(word, "_") && len(word) > 2 {
				claim(strings.ToLower(word), code, listedWeight)
			}
		}
	}
	for word := range english.words {
		if len(word) > 3 && len(claims[word]) == 0 {
			claim(word, "en", vaderWeight)
		}
	}
	return &evidence{words: shared(claims), alphabet: alphabet()}
}

// shared divides each word's weight among the languages that claim it.
func shared(claims map[string][]vote) *dictionary[[]vote] {
	d := newDictionary[[]vote]()
	for word, votes := range claims {
		slices.SortFunc(votes, func(a, b vote) int { return strings.Compare(a.code, b.code) })
		for i := range votes {
			votes[i].weight /= float64(len(votes))
			if len(strings.TrimSuffix(word, "*")) == 1 {
				votes[i].weight /= 2
			}
		}
		d.addSpelling(word, votes)
	}
	return d
}

// alphabet lists letters that few languages have.
func alphabet() map[rune][]vote {
	letters := [...]struct{ runes, codes string }{
		{"ß", "de"}, {"ñ", "es"}, {"ãõ", "pt"}, {"łżźśńęą", "pl"}, {"ğı", "tr"}, {"ş", "tr ro"}, {"őű", "hu"}, {"řěů", "cs"},
		{"țș", "ro"}, {"ă", "ro vi"}, {"åÅ", "sv da no"}, {"øæ", "da no"}, {"ä", "de sv fi"}, {"ö", "de sv fi tr hu"},
		{"ü", "de tr hu es"}, {"ç", "fr pt tr"}, {"œëû", "fr"}, {"è", "fr it"}, {"ê", "fr pt vi"}, {"ìòù", "it"},
		{"đơư", "vi"},
		{"ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỷỹỵ", "vi"}, {"čšž", "cs"}, {"ij", ""},
		{"ыэё", "ru"}, {"їєґ", "uk"}, {"і", "uk be"}, {"ў", "be"}, {"јљњћђ", "sr"}, {"ѓќѕ", "mk"}, {"ъ", "bg ru"},
		{"ةىأإ", "ar"}, {"پچژگ", "fa ur"}, {"ٹڈڑےںہھ", "ur"}, {"ळ", "mr"},
	}
	m := map[rune][]vote{}
	for _, l := range letters {
		codes := strings.Fields(l.codes)
		for _, r := range l.runes {
			for _, code := range codes {
				m[r] = append(m[r], vote{code, letterWeight / float64(len(codes))})
			}
		}
	}
	return m
}

// count adds what a word says to the scores; it reports whether it says
// anything: a list has the word, or it has telling letters.
func (e *evidence) count(word string, scores map[string]float64) bool {
	known := e.countWord(word, scores)
	if i := strings.IndexByte(word, '\''); i > 0 && !known {
		known = e.countWord(word[:i+1], scores) // l'hôtel
	}
	if isASCII(word) {
		return known
	}
	var last rune
	for _, r := range word {
		if r != last && r >= 0x80 {
			for _, v := range e.alphabet[r] {
				scores[v.code] += v.weight
				known = true
			}
		}
		last = r
	}
	return known
}

func (e *evidence) countWord(word string, scores map[string]float64) bool {
	votes, ok := e.words.exact[word]
	if !ok && len(word) > 3 {
		votes, ok = e.words.findPrefix(word)
	}
	for _, v := range votes {
		scores[v.code] += v.weight
	}
	return ok
}
