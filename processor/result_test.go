package processor

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// TestEncodeResult: what a handler returns becomes JSON on one line, whatever it
// is, or an error that says why not.
func TestEncodeResult(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  string
		fails string
	}{
		"a struct":         {struct{ A int }{1}, `{"A":1}`, ""},
		"nothing":          {nil, `null`, ""},
		"JSON":             {jsontext.Value(`{"a":1}`), `{"a":1}`, ""},
		"JSON on lines":    {jsontext.Value("{\n  \"a\": [1, 2]\n}\n"), `{"a":[1,2]}`, ""},
		"no JSON":          {jsontext.Value(`{"a":`), "", "cannot be written as JSON"},
		"a member twice":   {jsontext.Value(`{"a":1,"a":2}`), "", "cannot be written as JSON"},
		"no text":          {jsontext.Value("\"\xff\""), "\"\uFFFD\"", ""},
		"too much":         {strings.Repeat("x", maxResultBytes), "", "are kept"},
		"too much of JSON": {jsontext.Value(`"` + strings.Repeat("x", maxResultBytes) + `"`), "", "are kept"},
		"a function":       {func() {}, "", "cannot be written as JSON"},
	} {
		got, err := encodeResult(c.value, maxResultBytes)
		switch {
		case c.fails == "" && (err != nil || string(got) != c.want):
			t.Errorf("%s: %s, %v", name, got, err)
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s: %.80s, %v; want an error with %q", name, got, err, c.fails)
		}
	}
}

// A goroutine that a handler has left behind may go on writing to what was returned.
func TestAResultIsACopy(t *testing.T) {
	for name, value := range map[string]any{
		"JSON": jsontext.Value(`{"a":[1,2,3]}`), "standard JSON": json.RawMessage(`{"a":[1,2,3]}`),
		"a map": map[string]jsontext.Value{"a": jsontext.Value(`[1,2,3]`)},
	} {
		got, err := encodeResult(value, maxResultBytes)
		if err != nil {
			t.Fatal(err)
		}
		switch value := value.(type) {
		case jsontext.Value:
			clear(value)
		case json.RawMessage:
			clear(value)
		case map[string]jsontext.Value:
			clear(value["a"])
		}
		if string(got) != `{"a":[1,2,3]}` {
			t.Errorf("%s: the result is %s now", name, got)
		}
	}
}

// Each text is cut to what an event carries, and stays text.
func TestClip(t *testing.T) {
	for name, text := range map[string]string{
		"short": "short", "just so": strings.Repeat("x", maxErrorBytes), "long": strings.Repeat("x", maxErrorBytes+1),
		"in a character": strings.Repeat("x", maxErrorBytes-1) + "é", "no text": strings.Repeat("\xff ", maxErrorBytes),
		"huge": strings.Repeat("é", 10<<20),
	} {
		got := clip(text)
		whole, cut := strings.CutSuffix(got, " … (cut)")
		if !utf8.ValidString(got) || len(whole) > maxErrorBytes || cut != (len(text) > maxErrorBytes) ||
			len(whole) < min(len(text), maxErrorBytes)-3 {
			t.Errorf("%s: %d bytes became %d, cut is %v", name, len(text), len(got), cut)
		}
	}
}
