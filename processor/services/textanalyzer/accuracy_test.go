package textanalyzer

import (
	"os"
	"strings"
	"testing"
)

// Least accuracy on testdata/labelled.tsv, in percent.
const (
	leastLanguage  = 97
	leastSentiment = 80
)

type example struct{ language, sentiment, text string }

func labelledExamples(t testing.TB) []example {
	t.Helper()
	b, err := os.ReadFile("testdata/labelled.tsv")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"+": "positive", "-": "negative", "0": "neutral"}
	var all []example
	for line := range strings.Lines(string(b)) {
		if parts := strings.Split(strings.TrimSpace(line), "\t"); len(parts) == 3 && line[0] != '#' {
			all = append(all, example{parts[0], names[parts[1]], parts[2]})
		}
	}
	return all
}

func TestAccuracyOnLabelledTexts(t *testing.T) {
	lib := testLibrary(t)
	examples := labelledExamples(t)
	language, sentiment := 0, 0
	for _, e := range examples {
		doc := docOf(t, e.text)
		d := lib.detect(doc.tokens)
		s, err := lib.sentiment(t.Context(), doc, d.Guess)
		if err != nil {
			t.Fatal(err)
		}
		if d.Code == e.language {
			language++
		}
		if s.Label == e.sentiment {
			sentiment++
		}
		if d.Code != e.language || s.Label != e.sentiment {
			t.Logf("want %s %s, got %s (%s) %s %.2f: %s", e.language, e.sentiment, d.Code, d.Guess, s.Label, s.Score, e.text)
		}
	}
	t.Logf("of %d: language %d, sentiment %d", len(examples), language, sentiment)
	if len(examples) < 100 {
		t.Fatalf("only %d examples", len(examples))
	}
	if language*100 < leastLanguage*len(examples) || sentiment*100 < leastSentiment*len(examples) {
		t.Errorf("want %d%% and %d%%", leastLanguage, leastSentiment)
	}
}
