package processor

import (
	"strings"
	"testing"

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
		got, err := encodeResult(c.value)
		switch {
		case c.fails == "" && (err != nil || string(got) != c.want):
			t.Errorf("%s: %s, %v", name, got, err)
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s: %.80s, %v; want an error with %q", name, got, err, c.fails)
		}
	}
}
