package taskview

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParsePlace(f *testing.F) {
	for _, s := range []string{"", "0-0", "3-1234", "-1-5", "03-1", "1-", "1-2x", " 1-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlace(text)
		if err == nil && text != "" && p.String() != text {
			t.Errorf("%q was read as %q", text, p)
		}
	})
}

func FuzzParsePage(f *testing.F) {
	f.Add(page{CreatedMS: 5, TaskID: "t", UserID: "u", Lane: "fast", Partition: 2}.String())
	f.Add("e30")
	f.Add("?")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePage(text)
		if err != nil {
			return
		}
		again, err := parsePage(p.String())
		if err != nil || again != p {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}

// FuzzSearchTerms: whatever a user types, SQLite gets quoted phrases only.
func FuzzSearchTerms(f *testing.F) {
	for _, s := range []string{"a b", `"`, `a" OR "b`, "天気", "a*", "\xff", "\x00a", "^a", "col:a",
		strings.Repeat("é", 300)} {
		f.Add(s)
	}
	st, err := openStore(f.Context(), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(st.close)
	f.Fuzz(func(t *testing.T, query string) {
		terms := searchTerms(query)
		if len(terms) > maxTerms {
			t.Fatalf("%d terms", len(terms))
		}
		for _, term := range terms {
			if !utf8.ValidString(term) || strings.Count(term, `"`)%2 != 0 {
				t.Errorf("term %q", term)
			}
			var n int
			if err := st.read.QueryRow("SELECT count(*) FROM search WHERE search MATCH ?", term).Scan(&n); err != nil {
				t.Errorf("term %q: %v", term, err)
			}
		}
	})
}

func TestSearchTextIsBounded(t *testing.T) {
	long := strings.Repeat("é", MaxSearchBytes)
	for _, body := range []string{
		inputText(1, "ada", []byte(`{"a":"`+long+`"}`)).body,
		inputText(1, "ada", []byte(`{"a":["`+strings.Repeat("x y ", MaxSearchBytes)+`"]}`)).body,
		outcomeText(1, &Task{Message: long, Error: long}, []byte(`"`+long+`"`)).body,
	} {
		if len(body) > MaxSearchBytes+2 || !utf8.ValidString(body) {
			t.Errorf("%d bytes, valid %v", len(body), utf8.ValidString(body))
		}
	}
	if got := inputText(3, "ada", []byte(`{"line":"one\ntwo","n":5,"bad`)); got.rowid != searchRow(3, "ada") ||
		got.body != "line one\ntwo n 5 " {
		t.Errorf("got %+v", got)
	}
}
