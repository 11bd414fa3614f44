package provider

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/processor"
)

// checker holds answers against the schema that was asked for.
type checker struct{ schema *definitions.Schema }

// newChecker reads a schema, which a task may have from anybody, within the bounds of all schemas; nil stays nil.
func newChecker(s *Schema) (*checker, error) {
	if s == nil {
		return nil, nil
	}
	schema, err := definitions.Compile(s.Schema)
	if err != nil {
		return nil, processor.Invalid("schema", "is not a JSON Schema: "+err.Error())
	}
	return &checker{schema}, nil
}

// check is the answer as JSON, or what is wrong with it.
func (c *checker) check(text string) (jsontext.Value, error) {
	answer := jsontext.Value(strings.TrimSpace(text))
	if !answer.IsValid() {
		return nil, fmt.Errorf("the answer is not JSON: %.200q", text)
	}
	if wrong := c.schema.CheckWhole(answer); wrong != nil {
		return nil, fmt.Errorf("the answer has not the form of the schema: %s %s", wrong.Field("answer"), wrong.Problem)
	}
	return answer, nil
}
