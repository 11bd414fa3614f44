package provider

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/processor"
)

// doubling is a small schema that asks for 2 to the power of n steps at one place.
func doubling(n int) string {
	var defs []string
	for i := range n {
		next := fmt.Sprintf(`{"$ref":"#/$defs/d%d"}`, i+1)
		defs = append(defs, fmt.Sprintf(`"d%d":{"allOf":[%s,%s]}`, i, next, next))
	}
	return fmt.Sprintf(`{"$ref":"#/$defs/d0","$defs":{%s,"d%d":{"type":"object"}}}`, strings.Join(defs, ","), n)
}

// A schema that anybody may send is bounded, in size and in the work that it asks for.
func TestSchemasOfAnswersAreBounded(t *testing.T) {
	for name, test := range map[string]struct{ schema, want string }{
		"multiplies": {doubling(40), "references multiply"},
		"large": {`{"description":"` + strings.Repeat("x", definitions.MaxSchemaBytes) + `"}`,
			fmt.Sprintf("at most %d are kept", definitions.MaxSchemaBytes)},
		"elsewhere": {`{"$ref":"https://example.com/schema"}`, "can only refer to itself"},
		"no schema": {`{"type":"nothing"}`, "is not a JSON Schema"},
	} {
		_, err := newChecker(&Schema{Schema: jsontext.Value(test.schema)})
		var wrong *processor.InputError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %.200v", name, err)
		}
	}
	if c, err := newChecker(nil); c != nil || err != nil {
		t.Errorf("no schema: %v, %v", c, err)
	}
	if _, err := newChecker(&Schema{Schema: jsontext.Value(doubling(8))}); err != nil {
		t.Errorf("a schema within the bounds: %v", err)
	}
}

// An answer is held against the schema as it is: null is no object, and white space around is nothing.
func TestAnswersAreHeldAgainstTheSchema(t *testing.T) {
	const object = `{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}},` +
		`"additionalProperties":false}`
	for _, test := range []struct {
		schema, answer, want string
		fits                 bool
	}{
		{object, `{"n":1}`, `{"n":1}`, true}, {object, " {\"n\": 1}\n", `{"n": 1}`, true}, {object, `{"n":1.5}`, "", false},
		{object, `{}`, "", false}, {object, `null`, "", false}, {object, ``, "", false},
		{object, `{"n":1}{"n":1}`, "", false},
		{object, `{"n":1,"m":2}`, "", false}, {object, "```json\n{\"n\":1}\n```", "", false}, {object, `{"n":1`, "", false},
		{`{"type":"object"}`, `null`, "", false}, {`{"type":["null","object"]}`, `null`, `null`, true},
		{`{}`, `null`, `null`, true}, {`{}`, `[1,2]`, `[1,2]`, true}, {`{}`, `text`, "", false}, {`true`, ``, "", false},
		{`{"type":"number"}`, `12345678901234567890.5`, `12345678901234567890.5`, true},
	} {
		c, err := newChecker(&Schema{Schema: jsontext.Value(test.schema)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.check(test.answer)
		if string(got) != test.want || (err == nil) != test.fits {
			t.Errorf("%s against %s: %q, %v", test.answer, test.schema, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "input_data") {
			t.Errorf("%s is called the input: %v", test.answer, err)
		}
	}
}
