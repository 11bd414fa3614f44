package textanalyzer

import (
	"slices"
	"strings"
	"testing"
)

func keywordsOf(t *testing.T, code, text string) []string {
	t.Helper()
	words, err := testLibrary(t).keywords(t.Context(), docOf(t, text), code)
	if err != nil {
		t.Fatal(err)
	}
	return words
}

func TestKeywordsNameTheSubject(t *testing.T) {
	for _, c := range []struct{ code, text, want string }{
		{"en", "The coffee machine is quiet. I use the coffee machine daily.", "coffee machine"},
		{"de", "Die Kaffeemaschine ist leise und die Kaffeemaschine ist rot.", "kaffeemaschine"},
		{"fr", "L'aspirateur est silencieux et l'aspirateur est rouge.", "aspirateur"},
		{"es", "La mochila es roja y la mochila es grande.", "mochila"},
		{"ru", "Этот рюкзак синий, и рюкзак большой.", "рюкзак"},
		{"ar", "هذه الحقيبة زرقاء و الحقيبة كبيرة", "الحقيبة"},
		{"hi", "यह किताब नीली है और किताब मोटी है।", "किताब"},
		{"zh", "这个背包很结实，我很喜欢背包。", "背包"},
		{"ja", "このカメラは軽いです。カメラの電池も良い。", "カメラ"},
		{"ko", "카메라는 가볍고 카메라가 예뻐요.", "카메라"},
		{"", "Zmrzlina and zmrzlina", "zmrzlina"},
	} {
		if got := keywordsOf(t, c.code, c.text); !slices.Contains(got, c.want) {
			t.Errorf("%s %q: got %v, want %q in it", c.code, c.text, got, c.want)
		}
	}
}

func TestKeywordsAreBoundedStableAndFromTheText(t *testing.T) {
	lib := testLibrary(t)
	for _, e := range labelledExamples(t) {
		first := keywordsOf(t, e.language, e.text)
		if again := keywordsOf(t, e.language, e.text); !slices.Equal(first, again) {
			t.Errorf("%q: %v, then %v", e.text, first, again)
		}
		if short := e.language == "zh" || e.language == "ja"; len(first) == 0 && !short || len(first) > maxKeywords {
			t.Errorf("%q: %d keywords", e.text, len(first))
		}
		lower := strings.ToLower(e.text)
		for _, k := range first {
			for _, word := range strings.Fields(k) {
				if !strings.Contains(lower, word) || lib.lexicons[e.language].isStop(word) {
					t.Errorf("%q: keyword %q", e.text, k)
				}
			}
		}
	}
}

func TestSummaryKeepsOrderAndWords(t *testing.T) {
	lib := testLibrary(t)
	text := "The bridge was built in 1901. It rained. The bridge carries trains and the bridge carries cars! " +
		"Somebody laughed. Trains cross the bridge every 3.5 minutes. The end."
	doc := docOf(t, text)
	got, err := lib.summarize(t.Context(), doc, "en", 3)
	if err != nil {
		t.Fatal(err)
	}
	want := "The bridge was built in 1901. The bridge carries trains and the bridge carries cars! Trains " +
		"cross the bridge every 3.5 minutes."
	if got != want {
		t.Errorf("got %q", got)
	}
	if all, _ := lib.summarize(t.Context(), doc, "en", 20); all != text {
		t.Errorf("asked for all of it, got %q", all)
	}
	chinese := "桥很长。今天下雨。桥上有火车，桥上有汽车。"
	if got, _ := lib.summarize(t.Context(), docOf(t, chinese), "zh", 20); got != chinese {
		t.Errorf("got %q", got)
	}
}
