package reviews

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/services/textanalyzer"
	"github.com/aiecs/tasklane/schemas"
)

func load(t *testing.T) []Review {
	t.Helper()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestReviewsAreWellFormed(t *testing.T) {
	all := load(t)
	ids, texts, users, languages, feelings := map[string]bool{}, map[string]bool{}, map[string]int{}, map[string]int{},
		map[string]int{}
	for _, r := range all {
		if ids[r.ID] || schemas.CheckTaskID(r.ID) != "" {
			t.Errorf("id %q is taken or not usable as a task id", r.ID)
		}
		if texts[r.Text] || strings.TrimSpace(r.Text) != r.Text || r.Text == "" {
			t.Errorf("%s: text %q is empty, padded or there twice", r.ID, r.Text)
		}
		if schemas.CheckUserID(r.User) != "" || len(r.Lang) != 2 ||
			!slices.Contains([]string{"positive", "negative", "neutral"}, r.Sentiment) {
			t.Errorf("%s: user %q, lang %q or sentiment %q is wrong", r.ID, r.User, r.Lang, r.Sentiment)
		}
		ids[r.ID], texts[r.Text] = true, true
		users[r.User]++
		languages[r.Lang]++
		feelings[r.Sentiment]++
	}
	if len(all) < 200 || len(languages) < 8 || len(users) < 8 {
		t.Errorf("%d reviews in %d languages by %d users, want 200, 8 and 8 at least", len(all), len(languages), len(users))
	}
	for feeling, n := range feelings {
		if n*10 < len(all) {
			t.Errorf("only %d of %d reviews are %s", n, len(all), feeling)
		}
	}
	for user, n := range users {
		if n < 10 {
			t.Errorf("user %s has only %d reviews", user, n)
		}
	}
}

// tally counts right answers of one language.
type tally struct{ reviews, language, sentiment int }

func TestTextAnalyzerReadsTheReviews(t *testing.T) {
	run := textanalyzer.New().Methods["analyze_text"]
	perLanguage := map[string]*tally{}
	total := tally{}
	var wrong []string
	for _, r := range load(t) {
		got := analyze(t, run, r)
		l := perLanguage[r.Lang]
		if l == nil {
			l = &tally{}
			perLanguage[r.Lang] = l
		}
		for _, count := range []*tally{l, &total} {
			count.reviews++
			if got.Code == r.Lang {
				count.language++
			}
			if got.Sentiment.Label == r.Sentiment {
				count.sentiment++
			}
		}
		if got.Code != r.Lang || got.Sentiment.Label != r.Sentiment {
			wrong = append(wrong, fmt.Sprintf("%s: want %s %s, got %s %s %.2f: %s", r.ID, r.Lang, r.Sentiment, got.Code,
				got.Sentiment.Label, got.Sentiment.Score, r.Text))
		}
	}
	t.Logf("language right on %d, sentiment on %d of %d", total.language, total.sentiment, total.reviews)
	if total.language*100 < 95*total.reviews || total.sentiment*100 < 75*total.reviews {
		t.Errorf("want the language right on 95%% and the sentiment on 75%%\n%s\n%s", table(perLanguage),
			strings.Join(wrong, "\n"))
	}
	if testing.Verbose() {
		t.Logf("\n%s\n%s", table(perLanguage), strings.Join(wrong, "\n"))
	}
}

func analyze(t *testing.T, run processor.Handler, r Review) *textanalyzer.Analysis {
	t.Helper()
	input, err := json.Marshal(map[string]string{"text": r.Text})
	if err != nil {
		t.Fatal(err)
	}
	task := &schemas.Task{TaskID: r.ID, UserID: r.User, TaskName: "analyze_text", InputData: input}
	result, err := run(t.Context(), processor.NewContext(task, "fast", 1,
		func(context.Context, *schemas.Event) error { return nil }))
	if err != nil {
		t.Fatalf("%s: %v", r.ID, err)
	}
	return result.(*textanalyzer.Analysis)
}

func table(perLanguage map[string]*tally) string {
	var b strings.Builder
	b.WriteString("lang  reviews  language  sentiment\n")
	codes := make([]string, 0, len(perLanguage))
	for code := range perLanguage {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		l := perLanguage[code]
		fmt.Fprintf(&b, "%-4s  %7d  %8d  %9d\n", code, l.reviews, l.language, l.sentiment)
	}
	return b.String()
}
