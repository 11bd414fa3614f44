package badtasks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// members reads an object that names no member twice.
func members(value []byte) (map[string]json.RawMessage, bool) {
	var all map[string]json.RawMessage
	if json.Unmarshal(value, &all) != nil || all == nil {
		return nil, false
	}
	total := 0
	for range schemas.Members(value) {
		total++
	}
	return all, total == len(all)
}

// TestTheVerdictDoesNotDependOnTheOrder of members, nor on white space between them.
func TestTheVerdictDoesNotDependOnTheOrder(t *testing.T) {
	cases := slices.DeleteFunc(small(), func(c Case) bool {
		_, ok := members(c.Value)
		return !ok || !json.Valid(c.Value) || bytes.ContainsRune(c.Value, '\\') || !bytes.Equal(c.Value,
			bytes.ToValidUTF8(c.Value, nil))
	})
	if len(cases) < 50 {
		t.Fatalf("%d cases are objects", len(cases))
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(cases).Draw(t, "case")
		all, _ := members(c.Value)
		names := rapid.Permutation(slices.Sorted(maps.Keys(all))).Draw(t, "order")
		space := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space")
		var parts []string
		for _, name := range names {
			parts = append(parts, fmt.Sprintf("%s%q%s:%s%s", space, name, space, space, all[name]))
		}
		value := []byte(space + "{" + strings.Join(parts, ",") + space + "}" + space)
		task, invalid := judge(t, value)
		if c.Valid != (task != nil) {
			t.Fatalf("%s in another order: %v", c.Name, invalid)
		}
		if invalid != nil && (invalid.Identified() != c.Identified || c.Field != "" && invalid.Field != c.Field) {
			t.Fatalf("%s in another order: member %q, identified %t", c.Name, invalid.Field, invalid.Identified())
		}
	})
}

// TestMoreMembersMakeNoTaskOfABadOne, and none bad that was right: what this version does not
// know is kept.
func TestMoreMembersMakeNoTaskOfABadOne(t *testing.T) {
	for _, c := range small() {
		if all, ok := members(c.Value); !ok || len(all) == 0 || !json.Valid(c.Value) {
			continue
		}
		end := bytes.LastIndexByte(c.Value, '}')
		value := slices.Concat(c.Value[:end], []byte(`,"yet_to_come":{"a":[1,null]}}`))
		task, invalid := judge(t, value)
		if c.Valid != (task != nil) {
			t.Errorf("%s with a member more: %v", c.Name, invalid)
			continue
		}
		if task != nil && !slices.Contains(task.UnknownFields(), "yet_to_come") {
			t.Errorf("%s has lost a member that this version does not know", c.Name)
		}
	}
}

// TestRefusalsSayWhatToDo: a sentence about the member, with what it must be or how to mend it.
func TestRefusalsSayWhatToDo(t *testing.T) {
	for _, c := range All() {
		_, invalid := judge(t, c.Value)
		if invalid == nil {
			continue
		}
		if strings.HasPrefix(invalid.Problem, " ") || len(invalid.Problem) < 15 || strings.Contains(invalid.Problem, "%!") {
			t.Errorf("%s: %q is no sentence", c.Name, invalid.Problem)
		}
		if c.Identified != (invalid.Identified() && invalid.Task.Key().TaskID != "") {
			t.Errorf("%s: identified %t", c.Name, invalid.Identified())
		}
		if text := invalid.Error(); !strings.HasPrefix(text, "invalid task: ") {
			t.Errorf("%s: %q", c.Name, text)
		}
	}
}
