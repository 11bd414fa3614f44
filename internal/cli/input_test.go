package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// An object is the same task, however it is given.
func TestObjectsCanBeGivenInThreeWays(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOf(rapid.StringN(0, 8, -1), rapid.OneOf(
			rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
			rapid.Map(rapid.Float64Range(-1e9, 1e9), func(f float64) any { return f }),
			rapid.Map(rapid.String(), func(s string) any { return s }),
			rapid.Map(rapid.SliceOf(rapid.Int()), func(i []int) any { return i }),
		)).Draw(t, "object")
		text, err := json.Marshal(object, json.Deterministic(true))
		if err != nil {
			t.Fatal(err) // drawn texts are UTF-8, so that all of it is JSON
		}
		file := filepath.Join(dir, "input.json")
		if err := os.WriteFile(file, append(text, "\n \t"...), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, way := range []struct{ value, stdin string }{
			{string(text), ""}, {"@" + file, ""}, {"-", "\n" + string(text)}, {" " + string(text) + " ", ""},
		} {
			got, err := readObject("--input", way.value, strings.NewReader(way.stdin))
			if err != nil || !schemas.SameValue(got, text) {
				t.Fatalf("%.100q: %s, %v", way.value, got, err)
			}
		}
	})
}

func TestWhatIsNoObjectIsNamed(t *testing.T) {
	dir := t.TempDir()
	file := func(content string) string {
		f, err := os.CreateTemp(dir, "input")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if _, err := f.WriteString(content); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	for _, c := range []struct{ value, stdin, says string }{
		{"[1]", "", "it is a list"}, {`"x"`, "", "it is a text"}, {"7", "", "it is a number"}, {"null", "", "it is a null"},
		{"true", "", "it is a true or false"},
		{"{'a':1}", "", "double quotes"}, {"-", "{'a':1}", "double quotes"},
		{"{a:1}", "", "single quotes"}, {"{text: hello}", "", "single quotes"},
		{`{"a":1`, "", "at byte 6"}, {`{"a":1}}`, "", "at byte 7"}, {`{"a":1,}`, "", "at byte"},
		{`{"a":1,"a":2}`, "", "at byte"},
		{"-", "", "nothing is there"}, {"-", " \n", "nothing is there"}, {"@" + file(""), "", "nothing is there"},
		{file("{}"), "", "write @" + dir},
		{"@" + file("\xff\xfe{\x00}\x00"), "", "UTF-16"}, {"-", "\xfe\xff\x00{\x00}", "UTF-16"},
		{"@" + file("\xef\xbb\xbf{}"), "", "byte order mark"},
		{"@" + file("\x1f\x8b\x08"), "", "it is gzip; decompress it first"}, {"-", "x\x9c\xabV", "zlib"},
		{"-", "\x28\xb5\x2f\xfd", "it is zstd"}, {"-", "{\x00\"\x00", "UTF-16"}, {"-", "\x8b\x02\x80{}\x03", "Brotli"},
		{"@" + file("{a:1}"), "", "at byte"}, // no shell was there to take quotes
		{"@" + filepath.Join(dir, "gone"), "", "no such file"}, {"@" + dir, "", "directory"},
		{"-", `{"a":"` + strings.Repeat("x", schemas.MaxTaskBytes) + `"}`, "more than the"},
		{"nonsense", "", "at byte"},
	} {
		got, err := readObject("--input", c.value, strings.NewReader(c.stdin))
		if got != nil || !isUsage(err) || !strings.Contains(err.Error(), "--input") ||
			!strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60q, %.60q: %s, %v, want %q", c.value, c.stdin, got, err, c.says)
		}
	}
	if got, err := readObject("--input", "", nil); got != nil || err != nil {
		t.Errorf("nothing given: %s, %v", got, err)
	}
}

// FuzzReadObject gives anything on standard input: what is taken is one JSON object
// without spaces around it, everything else is wrong usage.
func FuzzReadObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,{"b":null}]}`, "{'a':1}", "\xff\xfe{", "\xef\xbb\xbf{}", "[", "", "null",
		"{a", `{"a":"\ud800"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readObject("--input", "-", strings.NewReader(text))
		switch {
		case err != nil && (got != nil || !isUsage(err)):
			t.Fatalf("%q: %s, %v", text, got, err)
		case err == nil && (!got.IsValid() || got.Kind() != jsontext.KindBeginObject || got[0] != '{'):
			t.Fatalf("%q is taken as %q", text, got)
		}
	})
}
