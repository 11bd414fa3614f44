package textanalyzer

import (
	"slices"
	"strings"
	"testing"
)

func moderated(t *testing.T, text string) ([]string, []Match) {
	t.Helper()
	lib, doc := testLibrary(t), docOf(t, text)
	categories, matches, err := lib.moderate(t.Context(), doc, lib.detect(doc.tokens))
	if err != nil {
		t.Fatal(err)
	}
	return categories, matches
}

func TestModerationFinds(t *testing.T) {
	for text, want := range map[string]string{
		"You are stupid and nobody likes you":           "harassment",
		"fuck you":                                      "harassment",
		"FUCK   YOU!!":                                  "harassment",
		"f u c k y o u":                                 "harassment",
		"fuuuuck you":                                   "harassment",
		"what an a$$hole he is":                         "harassment",
		"what an asssshole he is":                       "harassment",
		"you little b1tch":                              "harassment",
		"you little bіtch":                              "harassment", // a Cyrillic letter
		"you little ｂｉｔｃｈ":                              "harassment",
		"you little bi\u200btch":                        "harassment",
		"you little bít\u0301ch":                        "harassment",
		"I will k1ll y0u tomorrow":                      "violence",
		"I want to die and nobody cares":                "self_harm",
		"I keep cutting myself at night":                "self_harm",
		"where can I buy cocaine in this town":          "illicit",
		"send nudes please":                             "sexual",
		"they should deport them all":                   "hate",
		"Du bist ein Arschloch und das ist nicht schön": "harassment",
		"Ich bringe dich um, wenn du das machst":        "violence",
		"Je vais te tuer, tu ne comprends pas":          "violence",
		"Eres un hijo de puta y no te quiero ver":       "harassment",
		"Ti ammazzo se non mi dai i soldi che voglio":   "violence",
		"Quero morrer, não aguento mais isto":           "self_harm",
		"Ik maak je dood als je dat nog een keer doet":  "violence",
		"Zabiję cię, jeśli to zrobisz jeszcze raz":      "violence",
		"Я тебя убью, если ты это сделаешь":             "violence",
		"Я не хочу жити, мені дуже погано":              "self_harm",
		"Seni öldüreceğim, bunu bil":                    "violence",
		"أريد أن أموت ولا أحد يهتم":                     "self_harm",
		"मैं तुझे मार डालूंगा":                          "violence",
		"我想死，活着没有意思":                                    "self_harm",
		"お前なんか死ね、二度と来るな":                                "harassment",
		"정말 죽고 싶어요 아무도 몰라요":                             "self_harm",
	} {
		if got, _ := moderated(t, text); !slices.Contains(got, want) {
			t.Errorf("%q: got %v, want %s", text, got, want)
		}
	}
}

func TestModerationLeavesHarmlessTextAlone(t *testing.T) {
	for _, text := range []string{
		"The trains to Scunthorpe and Penistone leave from Middlesex.", "Essex, Sussex and Cockfosters are nice to visit.",
		"A classic analysis of the assassin's passage in the grass.", "Our cocktail hour has shiitake and a cup of Assam.",
		"This app is a killer deal, we had time to kill.", "Can you shoot a video of the shuttlecock?",
		"The great tits and blue tits are back in the garden.",
		"My Maine Coon loves the new basket.", "The suicide prevention line is open day and night.",
		"Dick van Dyke was wonderful in it.",
		"The die is cast and the dyke march is on Saturday.", "He bombed the test but it is fine.",
		"We sell drugstore cosmetics and weed killer.",
		"Der dicke Hund und die Wanne sind im Bad.", "Er ist mit dem Rad zum Essex-Platz gefahren, die Fahrt war gut.",
		"Mi hermano come un bocadillo de pollo en la playa.", "La négociation a été un succès, les bitumes sont chers.",
		"Оскорблять никого не нужно, всё хорошо.", "Он подписал контракт и застраховал машину.", "这部电影很好看，我们都很喜欢。",
		"必死で頑張って仕事をしました。",
		"이 가게는 정말 좋아요.", "Order 4455 55 a5 t17 costs $5.00 at 10:30!", "mail b1tch@example.com is only an address",
		"a b c d e f g", "",
	} {
		if got, matches := moderated(t, text); len(got) > 0 {
			t.Errorf("%q: got %v %v", text, got, matches)
		}
	}
}

func TestModerationLeavesReviewsAlone(t *testing.T) {
	for _, e := range labelledExamples(t) {
		if got, matches := moderated(t, e.text); len(got) > 0 {
			t.Errorf("%q: got %v %v", e.text, got, matches)
		}
	}
}

func TestModerationSaysWhere(t *testing.T) {
	text := "Well… " + strings.Repeat("you idiot, ", 50)
	_, matches := moderated(t, text)
	if len(matches) != maxMatches {
		t.Fatalf("got %d matches", len(matches))
	}
	for i, m := range matches {
		if text[m.Start:m.Start+len(m.Text)] != m.Text || m.Text != "you idiot" || m.Category != "harassment" {
			t.Errorf("match %d: %+v", i, m)
		}
	}
}
