package taskview

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// index is a search index with a text for each of some tasks of a user.
func index(t tester, texts ...string) *store {
	t.Helper()
	st, err := openStore(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	b := newBatch()
	for i, text := range texts {
		input, err := json.Marshal(map[string]string{"a": text})
		if err != nil {
			t.Fatal(err)
		}
		run := runKey{schemas.TaskKey{UserID: "ada", TaskID: fmt.Sprint("t", i)}, "fast", 0}
		task := newTask(run)
		task.CreatedAt, task.UpdatedAt = at(i), at(i)
		b.put(run, &row{id: int64(i + 1), task: task})
		b.texts = append(b.texts, inputText(int64(i+1), "ada", input))
	}
	if err := st.commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return st
}

// hits is which texts a query finds.
func (s *store) hits(t tester, query string) []int {
	t.Helper()
	tasks, _, err := s.list(t.Context(), Filter{UserID: "ada", Query: query, Limit: MaxListed})
	if err != nil {
		t.Fatalf("search %q: %v", query, err)
	}
	var found []int
	for i := range tasks {
		var n int
		if _, err := fmt.Sscanf(tasks[i].TaskID, "t%d", &n); err != nil {
			t.Fatal(err)
		}
		found = append(found, n)
	}
	slices.Sort(found)
	return found
}

// wordsOf are the words of a text as somebody who reads it would count them.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text),
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// TestSearchFindsWords: a text is found by those of its words that are asked for, in any
// order and case, and by nothing else.
func TestSearchFindsWords(t *testing.T) {
	alphabet := []string{"apple", "Pear", "plum", "x1", "42", "apples", "app"}
	separators := []string{" ", ", ", "\n", "-", "/", "_ ", ". ", "\t"}
	rapid.Check(t, func(t *rapid.T) {
		var texts []string
		for range rapid.IntRange(1, 5).Draw(t, "texts") {
			var text strings.Builder
			for range rapid.IntRange(0, 6).Draw(t, "words") {
				text.WriteString(rapid.SampledFrom(alphabet).Draw(t, "word"))
				text.WriteString(rapid.SampledFrom(separators).Draw(t, "separator"))
			}
			texts = append(texts, text.String())
		}
		st := index(t, texts...)
		defer st.close()
		for range 5 {
			asked := rapid.SliceOfN(rapid.SampledFrom(alphabet), 1, 3).Draw(t, "asked")
			if rapid.Bool().Draw(t, "in capitals") {
				for i := range asked {
					asked[i] = strings.ToUpper(asked[i])
				}
			}
			var want []int
			for i, text := range texts {
				words := wordsOf(text)
				if !slices.ContainsFunc(asked, func(word string) bool { return !slices.Contains(words, strings.ToLower(word)) }) {
					want = append(want, i)
				}
			}
			if got := st.hits(t, strings.Join(asked, " ")); !slices.Equal(got, want) {
				t.Fatalf("%q in %q: %v, want %v", asked, texts, got, want)
			}
		}
	})
}

// TestSearchFindsPartsOfSentencesWithoutSpaces.
func TestSearchFindsPartsOfSentencesWithoutSpaces(t *testing.T) {
	texts := []string{"今日は天気がいい", "明日の天気は雨", "ฝนตกหนัก",
		"mixed 天気 text", "天と気"}
	st := index(t, texts...)
	defer st.close()
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(texts)-1).Draw(t, "text")
		part := []rune(strings.Fields(texts[i])[0])
		from := rapid.IntRange(0, len(part)-1).Draw(t, "from")
		query := string(part[from:rapid.IntRange(from+1, len(part)).Draw(t, "to")])
		if strings.IndexFunc(query, unicode.IsLetter) < 0 || !unicode.IsLetter([]rune(query)[0]) ||
			query[0] < utf8.RuneSelf && query != string(part) {
			return // a mark alone, or a part of a word, is none
		}
		if got := st.hits(t, query); !slices.Contains(got, i) {
			t.Fatalf("%q is not found in %q: %v", query, texts[i], got)
		}
		for _, n := range st.hits(t, query) {
			if !strings.Contains(texts[n], query) {
				t.Fatalf("%q is found in %q", query, texts[n])
			}
		}
	})
}

// TestSearchTermsAreWhatWasTyped: whole, quoted, few and short, whatever it was.
func TestSearchTermsAreWhatWasTyped(t *testing.T) {
	for query, want := range map[string][]string{
		"":                             nil,
		"  -- !? ":                     nil,
		"one two":                      {`"one"`, `"two"`},
		`say "hi"`:                     {`"say"`, `"""hi"""`},
		"a AND b":                      {`"a"`, `"AND"`, `"b"`},
		"天気":                           {`" 天  気 "`},
		"a\x00b":                       {`"a b"`},
		"\xffok\xff":                   {`"ok"`},
		strings.Repeat("w ", 40):       slices.Repeat([]string{`"w"`}, maxTerms),
		strings.Repeat("x", 500):       {`"` + strings.Repeat("x", maxTermBytes) + `"`},
		strings.Repeat("é", 150):       {`"` + strings.Repeat("é", maxTermBytes/2) + `"`},
		"x" + strings.Repeat("é", 150): {`"x` + strings.Repeat("é", (maxTermBytes-1)/2) + `"`},
	} {
		if got := searchTerms(query); !slices.Equal(got, want) {
			t.Errorf("%.40q: %q, want %q", query, got, want)
		}
	}
}

// TestSpacedKeepsTheText: characters are set apart, and none is lost or moved.
func TestSpacedKeepsTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		apart := spaced(text)
		if strings.ReplaceAll(apart, " ", "") != strings.ReplaceAll(text, " ", "") {
			t.Fatalf("%q became %q", text, apart)
		}
		if strings.IndexFunc(text, unspaced) < 0 && apart != text {
			t.Fatalf("%q became %q for nothing", text, apart)
		}
		if bytes := len(apart); bytes > 3*len(text) {
			t.Fatalf("%d bytes became %d", len(text), bytes)
		}
	})
}

// TestUsersRowsLieApart: those of a user within their range, of the input before those of
// the outcome, and never two tasks in one.
func TestUsersRowsLieApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user, other := rapid.String().Draw(t, "user"), rapid.String().Draw(t, "other")
		id := rapid.Int64Range(1, 1<<(taskBits-1)-1).Draw(t, "task")
		first, last := userRows(user)
		at := searchRow(id, user)
		if at < first || at+1 > last || (at&taskMask)/2 != id || ((at+1)&taskMask)/2 != id {
			t.Fatalf("task %d of %q is at %d, within %d to %d", id, user, at, first, last)
		}
		if otherFirst, otherLast := userRows(other); otherFirst != first && otherLast >= first && otherFirst <= last {
			t.Fatalf("rows of %q and %q overlap", user, other)
		}
	})
}
