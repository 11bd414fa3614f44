package textanalyzer

import (
	"testing"
)

func scoreOf(t *testing.T, code, text string) Sentiment {
	t.Helper()
	s, err := testLibrary(t).sentiment(t.Context(), docOf(t, text), code)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNegationTurnsSentiment(t *testing.T) {
	for _, c := range []struct{ code, text, want string }{
		{"en", "not good", "negative"}, {"en", "It does not work", "negative"}, {"en", "no problems", "positive"},
		{"de", "nicht gut", "negative"}, {"de", "Das gefällt mir gar nicht", "negative"},
		{"de", "nicht schlecht", "positive"},
		{"de", "toll und nicht teuer", "positive"}, {"de", "funktioniert nicht", "negative"},
		{"fr", "ce n'est pas bon", "negative"}, {"fr", "pas mal", "positive"}, {"fr", "je n'aime pas", "negative"},
		{"es", "no es bueno", "negative"}, {"es", "no, es muy bueno", "positive"}, {"it", "non è buono", "negative"},
		{"pt", "não é bom", "negative"}, {"nl", "niet goed", "negative"}, {"nl", "werkt niet", "negative"},
		{"pl", "nie polecam", "negative"}, {"ru", "не рекомендую", "negative"}, {"uk", "не рекомендую", "negative"},
		{"tr", "iyi değil", "negative"}, {"tr", "kötü değil", "positive"}, {"ar", "ليس جيدا", "negative"},
		{"hi", "अच्छा नहीं है", "negative"}, {"zh", "不好吃", "negative"}, {"zh", "没问题", "positive"}, {"zh", "不贵", "positive"},
		{"ja", "美味しくない", "negative"}, {"ja", "問題ありません", "positive"}, {"ja", "好きではありません", "negative"},
		{"ko", "좋지 않아요", "negative"}, {"ko", "안 좋아요", "negative"}, {"ko", "문제 없어요", "positive"},
	} {
		if got := scoreOf(t, c.code, c.text); got.Label != c.want {
			t.Errorf("%s %q: got %+v, want %s", c.code, c.text, got, c.want)
		}
	}
}

func TestNeighboursChangeTheScore(t *testing.T) {
	for _, c := range []struct{ code, less, more string }{
		{"en", "It is good.", "It is very good!!!"}, {"de", "Das ist gut.", "Das ist sehr gut!"},
		{"de", "Das ist etwas gut.", "Das ist gut."},
		{"es", "Es bueno.", "Es muy bueno."}, {"ru", "Это хорошо.", "Это ОЧЕНЬ хорошо!"}, {"zh", "好", "非常好"},
		{"fr", "C'est bon mais cher.", "C'est cher mais bon."}, {"it", "È bello", "È bello 😍"},
		{"en", "Fine, I guess 😢", "Fine, I guess ❤️"},
	} {
		if less, more := scoreOf(t, c.code, c.less), scoreOf(t, c.code, c.more); less.Score >= more.Score {
			t.Errorf("%q has %.2f, %q has %.2f", c.less, less.Score, c.more, more.Score)
		}
	}
}

func TestSentimentOfEmojiAlone(t *testing.T) {
	for text, want := range map[string]string{"😍❤️👍🏽": "positive", "😡👎": "negative", "📦": "neutral", "1234": "neutral"} {
		for _, code := range []string{"", "sv", "en", "de", "ja"} {
			if got := scoreOf(t, code, text); got.Label != want {
				t.Errorf("%q in %q: got %+v, want %s", text, code, got, want)
			}
		}
	}
}

// Texts lose their accents on many keyboards, and Apple's file systems take
// them apart.
func TestSentimentWithoutAccents(t *testing.T) {
	for _, c := range []struct{ code, as, like string }{
		{"de", "schones Zimmer", "schönes Zimmer"}, {"es", "comodo y fantastico", "cómodo y fantástico"},
		{"fr", "tres de\u0301c\u0327u", "très déçu"}, {"pl", "swietny hotel", "świetny hotel"},
		{"tr", "cok guzel", "çok güzel"},
		{"ar", "مُمْتَاز", "ممتاز"}, {"ru", "надёжный", "надежный"},
	} {
		if a, b := scoreOf(t, c.code, c.as), scoreOf(t, c.code, c.like); a.Label != b.Label || a.Label == "neutral" {
			t.Errorf("%q: got %+v, %q: %+v", c.as, a, c.like, b)
		}
	}
}

func TestEnglishPhrasesAreWords(t *testing.T) {
	e := testLibrary(t).english
	text := "It stopped  working,\nnever again! 😡"
	if got, want := e.prepare(text, docOf(t, text).tokens), " It stopped_working never_again! emoji1f621"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
