package definitions

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// MaxSchemaBytes bounds one schema.
const MaxSchemaBytes = 64 << 10

// maxSteps bounds the work that a schema can ask for at one place of an input, in
// subschemas that apply there: references to references can double with each.
const maxSteps = 10_000

// Schema is a JSON Schema (2020-12) that inputs can be checked with. It is immutable and
// safe for concurrent use.
type Schema struct {
	compiled *jsonschema.Schema
	document any // as it was read
}

// Compile makes a schema ready for use. It is nil, which takes everything, for a text
// that asks for nothing: none, {} and true. What the schema refers to has to be in it;
// nothing is loaded from elsewhere.
func Compile(text jsontext.Value) (*Schema, error) {
	compact := bytes.TrimSpace(text)
	if len(compact) == 0 || string(compact) == "{}" || string(compact) == "true" {
		return nil, nil //nolint:nilnil // nil is the schema that takes everything
	}
	if len(text) > MaxSchemaBytes {
		return nil, fmt.Errorf("the schema has %d bytes, at most %d are kept", len(text), MaxSchemaBytes)
	}
	if !text.IsValid() {
		return nil, fmt.Errorf("the schema is no JSON: %s", clip(string(text)))
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	if err := checkSteps(document); err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(resource, document); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	compiled, err := compiler.Compile(resource)
	if err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	return &Schema{compiled, document}, nil
}

const resource = "task:schema"

// noLoader keeps schemas from naming files and servers.
type noLoader struct{}

var errElsewhere = errors.New("a schema can only refer to itself")

// Load refuses.
func (noLoader) Load(string) (any, error) { return nil, errElsewhere }

// Check is nil if an input suits the schema, else where it does not. No input, and
// null, are checked as {}, which is what a task has that was sent without. A nil schema
// takes everything.
func (s *Schema) Check(input jsontext.Value) *MismatchError {
	if s == nil {
		return nil
	}
	if len(input) == 0 || input.Kind() == jsontext.KindNull {
		input = jsontext.Value("{}")
	}
	return s.CheckWhole(input)
}

// CheckWhole is Check for a document that is always there: null is null.
func (s *Schema) CheckWhole(document jsontext.Value) *MismatchError {
	if s == nil {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return &MismatchError{Problem: "cannot be read: " + err.Error()}
	}
	err = s.compiled.Validate(value)
	if err == nil {
		return nil
	}
	var wrong *jsonschema.ValidationError
	if !errors.As(err, &wrong) {
		return &MismatchError{Problem: "does not suit its schema: " + err.Error()}
	}
	return s.mismatch(wrong)
}

// checkSteps refuses schemas whose references multiply.
func checkSteps(document any) error {
	c := counter{document: document, known: map[string]int{}}
	if c.steps(document) > maxSteps {
		return fmt.Errorf("the schema asks for more than %d steps at one place: its references multiply", maxSteps)
	}
	return nil
}

// counter adds up subschemas, those of references each time they are referred to.
type counter struct {
	document any
	known    map[string]int // of references; 0 while they are counted
}

func (c counter) steps(node any) int {
	sum := 1
	switch n := node.(type) {
	case []any:
		for _, member := range n {
			sum = min(sum+c.steps(member), maxSteps+1)
		}
	case map[string]any:
		for name, member := range n {
			reference, isText := member.(string)
			if isText && (name == "$ref" || name == "$dynamicRef") {
				sum += c.reference(reference)
			} else if name != "$defs" && name != "definitions" {
				sum += c.steps(member)
			}
			sum = min(sum, maxSteps+1)
		}
	}
	return sum
}

func (c counter) reference(text string) int {
	if steps, known := c.known[text]; known {
		return steps
	}
	c.known[text] = 0
	if pointer, inside := strings.CutPrefix(text, "#"); inside {
		c.known[text] = c.steps(find(c.document, pointer))
	}
	return c.known[text]
}

// find is the part of a document that a JSON pointer leads to, nil if there is none.
func find(document any, pointer string) any {
	for token := range jsontext.Pointer(pointer).Tokens() {
		switch n := document.(type) {
		case map[string]any:
			document = n[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(n) {
				return nil
			}
			document = n[i]
		default:
			return nil
		}
	}
	return document
}

// MismatchError says where an input does not suit its schema and what to send instead.
type MismatchError struct {
	// Pointer is the JSON pointer of the place in the input, "" for the whole.
	Pointer jsontext.Pointer
	// Problem reads on from the name of the place: "must be a string, not a number".
	Problem string
}

// Field is the place in dotted form below a name, for example input_data.retry.count.
func (m *MismatchError) Field(name string) string {
	for token := range m.Pointer.Tokens() {
		name += "." + token
	}
	return clip(name)
}

func (m *MismatchError) Error() string { return m.Field("input_data") + " " + m.Problem }

// maxTextBytes bounds the sender's own text in an error.
const maxTextBytes = 120

func clip(text string) string {
	if len(text) <= maxTextBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxTextBytes], "") + "..."
}

// shown is a value of the sender as it stands in an error.
func shown(value any) string {
	var out bytes.Buffer
	encoder := stdjson.NewEncoder(&out) // it knows the numbers of the schema library
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "this one"
	}
	return clip(strings.TrimSpace(out.String()))
}
