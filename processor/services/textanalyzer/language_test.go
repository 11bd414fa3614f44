package textanalyzer

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDetectSaysUncertain(t *testing.T) {
	lib := testLibrary(t)
	for _, text := range []string{
		"12345 67,89", "😀😀😀", "👍", "...!?", "ok", "Pizza", "iPhone 15 Pro", "la", "x", "asdf qwer zxcv uiop hjkl",
		"https://example.com/some/english/words/and/the/path", "info@example.com", "@someone @else", "A1 B2 C3", "éé", "好",
		"あ", "가",
		"I love this product so much 本当に素晴らしい製品だと思いますありがとう",
		"This is the house that we have. Das ist das Haus, das wir nicht haben.",
		"fhqwhgads blorptang snerfle grumbix", "—", "\u200b\u200b", "💯 100%",
	} {
		if d := lib.detect(docOf(t, text).tokens); d.Code != uncertain || d.Confidence != 0 {
			t.Errorf("%q: got %s with %.2f, want uncertain", text, d.Code, d.Confidence)
		}
	}
}

func TestDetectShortAndOddTexts(t *testing.T) {
	lib := testLibrary(t)
	for text, want := range map[string]string{
		"Danke schön!":    "de",
		"This is great":   "en",
		"NOT GOOD AT ALL": "en",
		"Muchas gracias":  "es",
		"C'est très bien": "fr",
		"Спасибо большое, всё хорошо":                                    "ru",
		"Дуже дякую, все добре":                                          "uk",
		"ありがとう":                                                          "ja",
		"很好，非常满意":                                                        "zh",
		"감사합니다":                                                          "ko",
		"Ευχαριστώ πολύ":                                                 "el",
		"תודה רבה":                                                       "he",
		"ขอบคุณมาก":                                                      "th",
		"Amazonで買ったiPhoneケースです、とても良い":                                    "ja",
		"Jag är väldigt nöjd med produkten och den kom fram snabbt.":     "sv",
		"Tuote on todella hyvä ja se tuli nopeasti.":                     "fi",
		"Produkten er veldig god og jeg har ikke hatt noen problemer.":   "no",
		"Výrobek je velmi dobrý a přišel rychle, ale obal byl poškozen.": "cs",
		"Продуктът е много добър и съм доволен, че го купих.": "bg",
		"این محصول خیلی خوب است و من آن را دوست دارم":         "fa",
		"Produk ini sangat bagus dan pengiriman tidak lama.":  "id",
		"https://example.com Das Paket ist heute angekommen":  "de",
	} {
		if d := lib.detect(docOf(t, text).tokens); d.Code != want || d.Confidence <= 0 || d.Confidence > 1 {
			t.Errorf("%q: got %s (%s) with %.2f, want %s", text, d.Code, d.Guess, d.Confidence, want)
		}
	}
}

func TestDetectIgnoresCaseRepetitionAndLinks(t *testing.T) {
	lib := testLibrary(t)
	for _, e := range labelledExamples(t) {
		want := lib.detect(docOf(t, e.text).tokens).Code
		if want != e.language {
			continue
		}
		for name, text := range map[string]string{
			"repeated": strings.Repeat(e.text+" ", 5),
			"spaced":   "  \t" + e.text + "\r\n",
			"linked":   "https://example.com/the/and/of " + e.text + " mail@example.org",
			"emoji":    "👍👍 " + e.text + " ⭐⭐⭐⭐⭐ 10/10",
		} {
			if got := lib.detect(docOf(t, text).tokens).Code; got != want {
				t.Errorf("%s %q: got %s, want %s", name, e.text, got, want)
			}
		}
	}
}

func TestDetectLongTexts(t *testing.T) {
	lib := testLibrary(t)
	byLanguage := map[string][]string{}
	for _, e := range labelledExamples(t) {
		byLanguage[e.language] = append(byLanguage[e.language], e.text)
	}
	for code, texts := range byLanguage {
		text := strings.Repeat(strings.Join(texts, " ")+"\n", 200)
		if d := lib.detect(docOf(t, text).tokens); d.Code != code || d.Confidence < 0.5 {
			t.Errorf("long %s text: got %s with %.2f", code, d.Code, d.Confidence)
		}
	}
}

func TestDetectIsTotalAndStable(t *testing.T) {
	lib := testLibrary(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		doc, err := newDocument(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		d := lib.detect(doc.tokens)
		if d != lib.detect(doc.tokens) {
			t.Fatal("two answers for one text")
		}
		if d.Code == "" || d.Confidence < 0 || d.Confidence > 1 || d.Code != uncertain && d.Code != d.Guess {
			t.Fatalf("got %+v", d)
		}
	})
}
