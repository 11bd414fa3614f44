package textanalyzer

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
)

func run(t testing.TB, name string, input, options any) (map[string]any, error) {
	t.Helper()
	s := New()
	handler, ok := s.Methods[name]
	if !ok {
		handler = s.Execute
	}
	result, err := handler(context.Background(), taskOf(t, name, input, options))
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m, nil
}

func TestResultsOnTheWire(t *testing.T) {
	const text = "The coffee machine is great. I love it! You idiot."
	for name, members := range map[string][]string{
		"analyze_text":      {"sentiment", "keywords"},
		"detect_language":   {},
		"analyze_sentiment": {"sentiment"},
		"extract_keywords":  {"keywords"},
		"moderate":          {"flagged", "categories", "matches"},
		"summarize":         {"summary"},
	} {
		got, err := run(t, name, textOf(text), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got["language"] != "en" || got["language_confidence"].(float64) < 0.5 {
			t.Errorf("%s: language %v %v", name, got["language"], got["language_confidence"])
		}
		for _, m := range members {
			if got[m] == nil {
				t.Errorf("%s: no %s in %v", name, m, got)
			}
		}
		if len(got) != len(members)+2 {
			t.Errorf("%s: members of %v, want %v and the language", name, got, members)
		}
	}
	m, err := run(t, "moderate", textOf("All is well with the garden."), nil)
	if err != nil || m["flagged"] != false || !reflect.DeepEqual(m["categories"], []any{}) ||
		!reflect.DeepEqual(m["matches"], []any{}) {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestWrongInputSaysWhatToSend(t *testing.T) {
	for _, c := range []struct {
		input, options any
		want           string
	}{
		{nil, nil, "input_data.text is missing"},
		{jsontext.Value("null"), nil, "input_data.text is missing"},
		{map[string]any{}, nil, "input_data.text is missing"},
		{map[string]any{"text": nil}, nil, "not null"},
		{map[string]any{"text": 7}, nil, "not a number"},
		{map[string]any{"text": true}, nil, "not a boolean"},
		{map[string]any{"text": []string{"a"}}, nil, "not an array"},
		{map[string]any{"text": map[string]any{}}, nil, "not an object"},
		{textOf(""), nil, "is empty"},
		{textOf(" \n\t\u00a0"), nil, "is empty"},
		{textOf(strings.Repeat("a", MaxTextBytes+1)), nil, "the most is 1048576"},
		{[]int{1}, nil, "input_data"},
		{map[string]any{"text": "a", "sentences": 0}, nil, "1 to 20"},
		{map[string]any{"text": "a", "sentences": "x"}, nil, "sentences"},
		{textOf("a"), map[string]any{"language": "german"}, "ISO 639-1"},
		{textOf("a"), map[string]any{"language": 5}, "context"},
		{textOf("a"), map[string]any{"language": " "}, "ISO 639-1"},
	} {
		for _, name := range []string{"analyze_text", "summarize", "no_such_task"} {
			_, err := run(t, name, c.input, c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s %v %v: got %v, want %q in it", name, c.input, c.options, err, c.want)
			}
			var retryable *processor.RetryableError
			if errors.As(err, &retryable) {
				t.Errorf("%v is marked retryable", err)
			}
		}
	}
	_, err := run(t, "analyze_text", nil, nil)
	var wrong *processor.InputError
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), `{"input_data": {"text":`) {
		t.Errorf("got %v", err)
	}
}

func TestOtherNamesAreAnswered(t *testing.T) {
	got, err := run(t, "make_coffee", textOf("The tea is lovely and I like it."), nil)
	if err != nil {
		t.Fatal(err)
	}
	note, _ := got["note"].(string)
	if got["sentiment"] == nil || !strings.Contains(note, `"make_coffee"`) ||
		!strings.Contains(note, "analyze_sentiment, analyze_text, detect_language, extract_keywords, moderate, summarize") {
		t.Errorf("got %v", got)
	}
	if _, err := run(t, "make_coffee", nil, nil); err == nil || !strings.Contains(err.Error(), "detect_language") {
		t.Errorf("got %v", err)
	}
}

func TestLanguageOfTheContextWins(t *testing.T) {
	for _, code := range []string{"de", "DE", "de-AT", "de_CH"} {
		got, err := run(t, "analyze_text", textOf("super"), map[string]any{"language": code})
		if err != nil || got["language"] != "de" || got["language_confidence"] != 1.0 ||
			got["sentiment"].(map[string]any)["label"] != "positive" {
			t.Errorf("%s: got %v, %v", code, got, err)
		}
	}
	got, err := run(t, "analyze_text", textOf("Jag är så glad"), map[string]any{"language": "sv", "model": "gpt-4o"})
	note, _ := got["note"].(string)
	if err != nil || !strings.Contains(note, `"sv"`) || !strings.Contains(note, `"gpt-4o"`) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := run(t, "detect_language", textOf("Das ist ein schöner Tag"),
		map[string]any{"language": "auto"}); err != nil || got["language"] != "de" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestLongTextsStopWithTheContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	s := New()
	for name, handler := range s.Methods {
		_, err := handler(ctx, taskOf(t, name, textOf(strings.Repeat("a good word, ", 20000)), nil))
		if !errors.Is(err, why) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestLargestTexts runs shapes that are quadratic for careless code. Each takes
// some hundred milliseconds; a quadratic one would take minutes. The race
// detector is spared most of it.
func TestLargestTexts(t *testing.T) {
	lib := testLibrary(t)
	for name, unit := range map[string]string{
		"one word": "a", "words": "good bad ", "sentences": "It is not very good. ", "dots": ".", "marks": "!?", "kanji": "漢",
		"zh":      "不好吃，很贵。",
		"letters": "f u c k ", "leet": "$1!3@", "emoji": "😍", "apostrophes": "l'", "spaces": "a       ", "at": "a@",
		"accents": "e\u0301", "arabic": "وال", "links": "http://a ",
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat(unit, MaxTextBytes/len(unit))
			if raceEnabled {
				text = text[:len(text)/8]
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			everything(ctx, t, lib, text)
		})
	}
}

// One service answers many tasks at once, also its first ones.
func TestTasksRunSideBySide(t *testing.T) {
	s := New()
	examples := labelledExamples(t)
	var group sync.WaitGroup
	results := make([][]any, 4)
	for worker := range results {
		group.Go(func() {
			for _, e := range examples {
				for _, name := range []string{"analyze_text", "moderate"} {
					got, err := s.Methods[name](context.Background(), taskOf(t, name, textOf(e.text), nil))
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					results[worker] = append(results[worker], got)
				}
			}
		})
	}
	group.Wait()
	for worker := range results {
		if !reflect.DeepEqual(results[worker], results[0]) {
			t.Errorf("worker %d got other results", worker)
		}
	}
}
