package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// anyJSON draws a JSON text with white space and escapes as anybody may write them.
func anyJSON(t *rapid.T, depth int) string {
	space := func() string { return rapid.SampledFrom([]string{"", "", " ", "\n\t", "\r\n "}).Draw(t, "space") }
	kinds := 6
	if depth <= 0 {
		kinds = 4
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "literal")
	case 1:
		return anyNumber(t)
	case 2, 3:
		return anyQuoted(t)
	case 4:
		var parts []string
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			parts = append(parts, space()+anyJSON(t, depth-1)+space())
		}
		return "[" + strings.Join(parts, ",") + space() + "]"
	}
	return anyObject(t, depth, space)
}

// anyObject draws one whose members have different names.
func anyObject(t *rapid.T, depth int, space func() string) string {
	var parts []string
	for n := range rapid.IntRange(0, 3).Draw(t, "members") {
		name := strconv.Quote(fmt.Sprint("m", n))
		if rapid.Bool().Draw(t, "escaped") {
			name = fmt.Sprintf(`"\u006d%d"`, n)
		}
		parts = append(parts, space()+name+space()+":"+space()+anyJSON(t, depth-1)+space())
	}
	return "{" + strings.Join(parts, ",") + space() + "}"
}

func anyNumber(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign") +
		rapid.SampledFrom([]string{"0", "1", "10", "5", "120", "999999999999999999",
			"123456789012345678901234567890"}).Draw(t, "whole") +
		rapid.SampledFrom([]string{"", "", ".0", ".5", ".000", ".25", ".00000000000000000001"}).Draw(t, "fraction") +
		rapid.SampledFrom([]string{"", "", "e0", "E+2", "e-2", "e1", "e-20", "e25"}).Draw(t, "exponent")
}

func anyQuoted(t *rapid.T) string {
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{
		"a", "é", "😀", `\"`, `\\`, `\/`, `\n`, `\u0041`, `\ud83d\ude00`, "{", "}", "[", "]", ",", ":", " ", `\\\"`,
	}), 0, 6).Draw(t, "text")
	return `"` + strings.Join(parts, "") + `"`
}

// exactly reads a JSON number as a fraction.
func exactly(t *rapid.T, number string) *big.Rat {
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		t.Fatalf("%s is no number", number)
	}
	return r
}

// TestWholeNumbersAreExact: every spelling of a number without a fraction is that number, and
// nothing else is one.
func TestWholeNumbersAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := anyNumber(t)
		exact := exactly(t, text)
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(maxDigits), nil)
		whole := exact.IsInt() && new(big.Int).Abs(exact.Num()).Cmp(limit) < 0
		got, ok := wholeNumber([]byte(text))
		if ok != whole {
			t.Fatalf("%s: whole %t, want %t", text, ok, whole)
		}
		if ok && exact.Num().Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("%s is read as %d", text, got)
		}
	})
}

// TestSameNumberIsTheSameFraction.
func TestSameNumberIsTheSameFraction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyNumber(t), anyNumber(t)
		want := exactly(t, a).Cmp(exactly(t, b)) == 0
		if got := sameNumber(a, b); got != want {
			t.Fatalf("%s and %s: same %t, want %t", a, b, got, want)
		}
	})
}

// TestSameValueIsTheSameDocument: held against what a reader makes of both, with numbers as
// fractions.
func TestSameValueIsTheSameDocument(t *testing.T) {
	same := 0
	rapid.Check(t, func(t *rapid.T) {
		a := anyJSON(t, 2)
		b := rewritten(t, a)
		if rapid.IntRange(0, 2).Draw(t, "other") == 0 {
			b = anyJSON(t, 2)
		}
		want := comparable(t, a) == comparable(t, b)
		if got := SameValue(jsontext.Value(a), jsontext.Value(b)); got != want {
			t.Fatalf("%s\n%s\nsame %t, want %t", a, b, got, want)
		}
		if want {
			same++
		}
	})
	if same < 10 {
		t.Errorf("%d were the same: the generator is lopsided", same)
	}
	for _, broken := range []string{"", "{", `{"a":1`, "nul", "\xff", `"\ud800`} {
		if SameValue(jsontext.Value(broken), jsontext.Value("{}")) {
			t.Errorf("%q, which is no JSON, is the same as {}", broken)
		}
	}
}

// rewritten is the same document with other white space, spelled by encoding/json.
func rewritten(t *rapid.T, text string) string {
	var out bytes.Buffer
	if rapid.Bool().Draw(t, "indented") {
		if err := json.Indent(&out, []byte(text), " ", "\t"); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if err := json.Compact(&out, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// comparable is a text that two documents share if they say the same.
func comparable(t *rapid.T, text string) string {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var write func(v any) string
	write = func(v any) string {
		switch v := v.(type) {
		case json.Number:
			return "#" + exactly(t, v.String()).RatString()
		case []any:
			parts := make([]string, len(v))
			for i := range v {
				parts[i] = write(v[i])
			}
			return "[" + strings.Join(parts, ",") + "]"
		case map[string]any:
			var parts []string
			for name, member := range v {
				parts = append(parts, strconv.Quote(name)+":"+write(member))
			}
			return "{" + strings.Join(sorted(parts), ",") + "}"
		}
		return fmt.Sprintf("%T %[1]q", v)
	}
	return write(v)
}

// TestMembersAreThoseOfAReader: names and values in their order, each value as it stands.
func TestMembersAreThoseOfAReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		object := anyObject(t, 2, func() string { return rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "space") })
		dec := jsontext.NewDecoder(strings.NewReader(object))
		if _, err := dec.ReadToken(); err != nil {
			t.Fatal(err)
		}
		for name, value := range Members([]byte(object)) {
			token, err := dec.ReadToken()
			if err != nil || token.String() != string(name) {
				t.Fatalf("%s: member %q, a reader has %v, %v", object, name, token, err)
			}
			want, err := dec.ReadValue()
			if err != nil || string(want) != string(value) {
				t.Fatalf("%s: %q is %s, a reader has %s, %v", object, name, value, want, err)
			}
		}
		if kind := dec.PeekKind(); kind != jsontext.KindEndObject {
			t.Fatalf("%s: a reader goes on with %v", object, kind)
		}
	})
}

// TestMembersEndWhateverTheyAreGiven, and give out parts of what that is.
func TestMembersEndWhateverTheyAreGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		noise := rapid.SliceOfN(rapid.SampledFrom([]byte("{}[],:\"\\ a1\x00\xff")), 0, 60).Draw(t, "noise")
		total := 0
		for name, value := range Members(noise) {
			total += len(name) + len(value)
		}
		if total > len(noise) {
			t.Fatalf("%d bytes of %d", total, len(noise))
		}
	})
}

// TestIdentifyFindsWhatIsThere: of a task that is cut off, or has something in it that is no
// JSON, the ids are told if they stand there whole, and never others.
func TestIdentifyFindsWhatIsThere(t *testing.T) {
	const ids = `{"task_id":"t-1","user_id":"alice","task_name":"n",`
	rapid.Check(t, func(t *rapid.T) {
		tail := `"input_data":` + anyJSON(t, 2)
		value := ids + tail[:rapid.IntRange(0, len(tail)).Draw(t, "cut")]
		got := identify([]byte(value))
		if got == nil || got.TaskID != "t-1" || got.UserID != "alice" {
			t.Fatalf("%s: %+v", value, got)
		}
	})
	for value, want := range map[string]string{
		`{"task_id":"a","task_id":"b"`: "", `{"task_id":"a","task_id":"a"`: "a", `{"task_id":"a`: "", `{"task_id":7`: "",
		`{"x":{"task_id":"a"}`: "", `{"task\u005fid":"a"`: "a", `{"task_id":"\ud800"`: "", "{\"task_id\":\"\xff\"": "",
		`  {"task_id" : "a" }`: "a", `{"task_id":["a"]`: "",
	} {
		if got := identify([]byte(value)); got == nil || got.TaskID != want {
			t.Errorf("%s: %+v, want %q", value, got, want)
		}
	}
	for _, value := range []string{"", "  ", "[]", `"text"`, "task_id: a"} {
		if got := identify([]byte(value)); got != nil {
			t.Errorf("%q is identified as %+v", value, got)
		}
	}
}
