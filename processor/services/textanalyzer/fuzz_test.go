package textanalyzer

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// failer is what testing.T and rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// everything runs all methods over a text and checks what must hold for any.
func everything(ctx context.Context, t failer, lib *library, text string) {
	t.Helper()
	doc, err := newDocument(ctx, text)
	if err != nil {
		t.Fatal(err)
	}
	checkTokens(t, doc)
	d := lib.detect(doc.tokens)
	for _, code := range []string{d.Guess, "en", "zh", "fr"} {
		s, err := lib.sentiment(ctx, doc, code)
		if err != nil || math.IsNaN(s.Score) || s.Score < -1 || s.Score > 1 {
			t.Fatalf("sentiment in %q: %+v, %v", code, s, err)
		}
		words, err := lib.keywords(ctx, doc, code)
		if err != nil || len(words) > maxKeywords {
			t.Fatalf("keywords in %q: %v, %v", code, words, err)
		}
	}
	summary, err := lib.summarize(ctx, doc, d.Guess, defaultSentences)
	if err != nil || len(summary) > defaultSentences*(2*maxSentence+8) {
		t.Fatalf("summary of %d bytes, %v", len(summary), err)
	}
	categories, matches, err := lib.moderate(ctx, doc, d)
	if err != nil || (len(categories) == 0) != (len(matches) == 0) {
		t.Fatalf("moderation: %v, %v, %v", categories, matches, err)
	}
}

func checkTokens(t failer, doc *document) {
	t.Helper()
	end := 0
	for _, tok := range doc.tokens {
		if tok.start < end || tok.end <= tok.start || tok.end > len(doc.text) {
			t.Fatalf("token %+v after offset %d", tok, end)
		}
		end = tok.end
	}
	next := 0
	for _, s := range doc.sentences {
		if s.first != next || s.last <= s.first {
			t.Fatalf("sentence %+v, want it to start at token %d", s, next)
		}
		next = s.last
	}
	if next != len(doc.tokens) {
		t.Fatalf("sentences end at token %d of %d", next, len(doc.tokens))
	}
}

func FuzzAnalyze(f *testing.F) {
	for _, e := range labelledExamples(f) {
		f.Add(e.text)
	}
	f.Add("l'\u0301 '' a'b'c’d .5 a.b@c.d http:// www. @ @x \xff\xfe 𝓪𝓫 ﷺ ㅋㅋ 👨‍👩‍👧 \u200d\ufe0f")
	f.Fuzz(func(t *testing.T, text string) {
		everything(t.Context(), t, testLibrary(t), text)
	})
}

func TestAnyMixtureIsAnalyzed(t *testing.T) {
	lib := testLibrary(t)
	pieces := []string{"not", "good", "l'", "不", "好", "좋", "않", "😍", "!", "…", ".", ",", " ", "\n", "\n\n", "@", "$", "1",
		"é", "e\u0301", "ı", "İ", "ß", "ﬁ", "ـ", "\u200d", "\ufe0f", "http://", "но", "a", "𝐚", "\xff"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 60).Draw(t, "pieces"), "")
		everything(t.Context(), t, lib, text)
	})
}

func TestFoldIsIdempotentAndDropsAccents(t *testing.T) {
	for in, want := range map[string]string{
		"déçu": "decu", "de\u0301c\u0327u": "decu", "żółć": "zołc", "ёлка": "елка", "إلى": "الي", "straße": "straße",
		"çığ": "cig", "việt": "viet",
	} {
		want = strings.ReplaceAll(want, "ł", "l")
		if got := fold(in); got != want {
			t.Errorf("fold %q: got %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		once := fold(strings.ToLower(rapid.String().Draw(t, "s")))
		if twice := fold(once); twice != once {
			t.Fatalf("%q, then %q", once, twice)
		}
	})
}

func TestListsAreClean(t *testing.T) {
	lib := testLibrary(t)
	for _, code := range strings.Fields("en de fr es it pt nl pl ru uk tr ar hi zh ja ko") {
		l := lib.lexicons[code]
		positive, negative := 0, 0
		for word, e := range l.words.exact {
			if e.valued && l.isStop(word) && !slices.Contains(l.vocabulary, word) {
				t.Errorf("%s: the stop word %q has the valence of one that is spelled otherwise", code, word)
			}
			if e.valence > 0 {
				positive++
			} else if e.valence < 0 {
				negative++
			}
		}
		for _, e := range l.words.prefix {
			if e.valence > 0 {
				positive++
			} else if e.valence < 0 {
				negative++
			}
		}
		if positive < 20 || negative < 20 || len(l.stop) < 50 || lib.moderation[code] == nil {
			t.Errorf("%s: %d positive, %d negative, %d stop words", code, positive, negative, len(l.stop))
		}
	}
}

func TestParserNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"word": "line 1", "[stop]\nthe\n[nonsense]": "line 3: unknown section", "[positive]\n9: good": "line 2",
		"[positive]\nx: good": "number from 0 to 4",
	} {
		if _, err := parseLexicon("xx", text); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "xx") {
			t.Errorf("%q: got %v, want %q in it", text, err, want)
		}
	}
}

func FuzzParseLexicon(f *testing.F) {
	f.Add("[stop]\na b\n# c\n[positive]\n2: good* very_good\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLexicon("xx", text)
		if err != nil {
			return
		}
		doc := docOf(t, text)
		for i := range doc.tokens {
			if _, n := l.meaning(doc.tokens, i); n < 1 || i+n > len(doc.tokens) {
				t.Fatalf("meaning takes %d tokens at %d", n, i)
			}
		}
	})
}

func BenchmarkAnalyzeText(b *testing.B) {
	const english = "The kettle boils in under two minutes and looks lovely on the counter, but the lid is a little " +
		"flimsy and the cord could be longer. " +
		"I have used it every morning for three months now and it still works well. The support team answered within a " +
		"day, so I would buy it again. Recommended!"
	const german = "Der Wasserkocher kocht in weniger als zwei Minuten und sieht schön aus, aber der Deckel wackelt " +
		"etwas und das Kabel könnte länger sein. " +
		"Ich benutze ihn seit drei Monaten jeden Morgen und er funktioniert noch immer gut. Der Kundendienst hat schnell " +
		"geantwortet, ich empfehle ihn."
	for name, text := range map[string]string{"en": english, "de": german,
		"zh": strings.Repeat("酒店非常漂亮，服务员很热情，早餐也很好吃。", 5), "1MiB": strings.Repeat(english+" ", 1<<20/(len(english)+1))} {
		b.Run(name, func(b *testing.B) {
			run := New().Methods["analyze_text"]
			task := taskOf(b, "analyze_text", textOf(text), nil)
			if _, err := run(b.Context(), task); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := run(b.Context(), task); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
