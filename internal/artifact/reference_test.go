package artifact

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestIsHash(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	for text, want := range map[string]bool{
		hash: true, "": false, hash[1:]: false, hash + "0": false, strings.ToUpper(hash): false, hash[1:] + "g": false,
		"../" + hash[3:]: false, hash[1:] + "\x00": false, hash[2:] + "é": false,
	} {
		if got := IsHash(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestReferences(t *testing.T) {
	one, two := strings.Repeat("1", 64), strings.Repeat("2", 64)
	for value, want := range map[string][]string{
		``:                                   nil,
		`null`:                               nil,
		`{"artifact":"` + one:                nil,
		`"artifact"`:                         nil,
		`["artifact","` + one + `"]`:         nil,
		`{"x":"artifact","y":"` + one + `"}`: nil,
		`{"artifact":"x"}`:                   nil,
		`{"artifact":["` + one + `"]}`:       nil,
		`{"artifact":"` + one + `"}`:         {one},
		` { "artifact" : "` + one + `" , "artifact" : "` + two + `" } `:          {one, two},
		`[[{"a":{"artifact":"` + one + `"}}],{"artifact":"` + one + `"},1]`:      {one, one},
		`{"artifact":{"artifact":"` + two + `"},"b":"` + one + `"}`:              {two},
		`{"a":1,"artifact":"\u0031` + one[1:] + `","size":3}`:                    {one},
		`{"artifact":"` + one + `"} {"artifact":"` + two + `"`:                   {one, two},
		`{"artifact":"` + one + `","` + "\xff" + `":{"artifact":"` + two + `"}}`: {one, two},
	} {
		if diff := cmp.Diff(want, References(jsontext.Value(value))); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
	}
}

// TestReferencesFindsAll compares with a walk through the decoded value.
func TestReferencesFindsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := drawNested(t, 4)
		encoded, err := json.Marshal(value, json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{}
		countArtifacts(value, want)
		got := map[string]int{}
		for _, hash := range References(encoded) {
			got[hash]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: %s", encoded, diff)
		}
	})
}

func drawNested(t *rapid.T, depth int) any {
	hash := rapid.SampledFrom([]string{strings.Repeat("a", 64), strings.Repeat("0", 64), "artifact", "x", ""})
	switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
	case kind == 0 && depth > 0:
		var all []any
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			all = append(all, drawNested(t, depth-1))
		}
		return all
	case kind <= 2 && depth > 0:
		all := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			all[rapid.SampledFrom([]string{"artifact", "b", "artifacts"}).Draw(t, "name")] = drawNested(t, depth-1)
		}
		return all
	case kind == 3:
		return rapid.Bool().Draw(t, "bool")
	}
	return hash.Draw(t, "text")
}

func countArtifacts(value any, into map[string]int) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			countArtifacts(element, into)
		}
	case map[string]any:
		for name, member := range v {
			if text, ok := member.(string); ok && name == "artifact" && IsHash(text) {
				into[text]++
			}
			countArtifacts(member, into)
		}
	}
}
