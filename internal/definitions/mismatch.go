package definitions

import (
	stdjson "encoding/json" // the numbers of the schema library
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/aiecs/tasklane/internal/nearest"
)

// mismatch puts the first and deepest of what is wrong into words.
func (s *Schema) mismatch(wrong *jsonschema.ValidationError) *MismatchError {
	leaf := deepest(wrong)
	m := &MismatchError{Problem: s.problemOf(leaf)}
	path := leaf.InstanceLocation
	switch k := leaf.ErrorKind.(type) {
	case *kind.Required:
		path = append(slices.Clone(path), k.Missing[0])
	case *kind.AdditionalProperties:
		name := slices.Min(k.Properties)
		m.Problem = unknownMember(name, s.membersAt(leaf.SchemaURL))
		path = append(slices.Clone(path), name)
	}
	if example := s.example(); example != "" {
		m.Problem += "; send for example " + example
	}
	for _, token := range path {
		m.Pointer = m.Pointer.AppendToken(token)
	}
	return m
}

// deepest is the cause that is furthest into the input, the first by place of those that
// are as deep: of alternatives it is the one that was nearly met.
func deepest(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return e
	}
	var best *jsonschema.ValidationError
	for _, cause := range e.Causes {
		leaf := deepest(cause)
		if best == nil || before(leaf, best) {
			best = leaf
		}
	}
	return best
}

func before(a, b *jsonschema.ValidationError) bool {
	if len(a.InstanceLocation) != len(b.InstanceLocation) {
		return len(a.InstanceLocation) > len(b.InstanceLocation)
	}
	if place := slices.Compare(a.InstanceLocation, b.InstanceLocation); place != 0 {
		return place < 0
	}
	if first, second := rank(a), rank(b); first != second {
		return first < second
	}
	return a.SchemaURL < b.SchemaURL
}

// rank puts a misspelt member before the one that is missing for it.
func rank(e *jsonschema.ValidationError) int {
	switch e.ErrorKind.(type) {
	case *kind.AdditionalProperties, *kind.FalseSchema:
		return 0
	case *kind.Required:
		return 1
	}
	return 2
}

// problemOf is one cause in the words that the decoder of inputs has for it.
func (s *Schema) problemOf(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, not %s", wanted(k.Want), withArticle(k.Got))
	case *kind.Required:
		return "is missing"
	case *kind.Enum:
		texts := make([]string, 0, len(k.Want))
		for _, want := range k.Want {
			if want != nil {
				texts = append(texts, shown(want))
			}
		}
		return fmt.Sprintf("is %s; send one of %s", shown(k.Got), strings.Join(texts, ", "))
	case *kind.Const:
		return fmt.Sprintf("is %s; send %s", shown(k.Got), shown(k.Want))
	case *kind.Minimum:
		return fmt.Sprintf("is %s; send %s", number(k.Got), s.bounds(e, "at least "+number(k.Want)))
	case *kind.Maximum:
		return fmt.Sprintf("is %s; send %s", number(k.Got), s.bounds(e, "at most "+number(k.Want)))
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("is %s; send more than %s", number(k.Got), number(k.Want))
	case *kind.ExclusiveMaximum:
		return fmt.Sprintf("is %s; send less than %s", number(k.Got), number(k.Want))
	case *kind.MinLength:
		if k.Got == 0 {
			return "is empty"
		}
		return fmt.Sprintf("has %d characters; send at least %d", k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("has %d characters; send at most %d", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d members; send at least %d", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d members; send at most %d", k.Got, k.Want)
	case *kind.Pattern:
		return fmt.Sprintf("is %s; send a text that matches %s", shown(k.Got), clip(k.Want))
	case *kind.FalseSchema:
		return "is not known; leave it out"
	}
	return "does not suit its schema: " + clip(e.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
}

// bounds are both of a number that has two, and otherwise what is said of the one.
func (s *Schema) bounds(e *jsonschema.ValidationError, one string) string {
	part := s.partAt(e.SchemaURL)
	low, hasLow := part["minimum"].(stdjson.Number)
	high, hasHigh := part["maximum"].(stdjson.Number)
	if !hasLow || !hasHigh {
		return one
	}
	kinds, _ := part["type"].([]any)
	if part["type"] == "integer" || slices.Contains(kinds, any("integer")) {
		return fmt.Sprintf("a whole number from %s to %s", low, high)
	}
	return fmt.Sprintf("a number from %s to %s", low, high)
}

// example is the first that the schema gives, "" if it gives none.
func (s *Schema) example() string {
	whole, _ := s.document.(map[string]any)
	if examples, _ := whole["examples"].([]any); len(examples) > 0 {
		return shown(examples[0])
	}
	return ""
}

// unknownMember says what was most likely meant by a member that an object does not have.
func unknownMember(name string, known []string) string {
	if meant, near := nearest.Name(name, known...); near {
		return fmt.Sprintf("is not known; did you mean %s?", meant)
	}
	return "is not known; leave it out, or look for a misspelled name"
}

// membersAt are the members that a part of the schema has, by where that stands.
func (s *Schema) membersAt(location string) []string {
	properties, _ := s.partAt(location)["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// partAt is a part of the schema by its URL.
func (s *Schema) partAt(location string) map[string]any {
	_, fragment, _ := strings.Cut(location, "#")
	if plain, err := url.PathUnescape(fragment); err == nil {
		fragment = plain
	}
	part, _ := find(s.document, fragment).(map[string]any)
	return part
}

func number(n *big.Rat) string {
	if n.IsInt() {
		return clip(n.Num().String())
	}
	f, _ := n.Float64()
	return fmt.Sprint(f)
}

// wanted are the types of a schema in words; null, which means left out, is not
// recommended.
func wanted(types []string) string {
	var words []string
	for _, t := range types {
		if t != "null" || len(types) == 1 {
			words = append(words, withArticle(t))
		}
	}
	return strings.Join(words, " or ")
}

func withArticle(name string) string {
	switch name {
	case "null":
		return "null"
	case "boolean":
		return "true or false"
	case "integer":
		return "a whole number"
	case "array", "object":
		return "an " + name
	}
	return "a " + name
}
