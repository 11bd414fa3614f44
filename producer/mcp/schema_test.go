package mcp

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/definitions"
)

func TestInputSchemas(t *testing.T) {
	for name, tt := range map[string]struct{ input, want string }{
		"none":           {``, `{"type":"object"}`},
		"anything":       {`true`, `{"type":"object"}`},
		"null":           {`null`, `{"type":"object"}`},
		"nothing":        {`false`, `{"not":{},"type":"object"}`},
		"an object":      {`{"type":"object"}`, `{"type":"object"}`},
		"no type":        {`{"required":["a"]}`, `{"required":["a"],"type":"object"}`},
		"object or null": {`{"type":["object","null"]}`, `{"type":"object"}`},
		"a reference": {`{"$ref":"#/$defs/a","$defs":{"a":{}}}`,
			`{"$defs":{"a":{}},"$ref":"#/$defs/a","type":"object"}`},
		"a text":        {`{"type":"string"}`, `{"not":{},"type":"object"}`},
		"texts":         {`{"type":["string","null"]}`, `{"not":{},"type":"object"}`},
		"true property": {`{"type":"object","properties":{"a":true}}`, `{"properties":{"a":{}},"type":"object"}`},
		"false property": {`{"type":"object","properties":{"a":false}}`,
			`{"properties":{"a":{"not":{}}},"type":"object"}`},
		"header": {`{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}`,
			`{"properties":{"a":{"type":"string"}},"type":"object"}`},
		"deep header": {`{"allOf":[{"x-mcp-header":"A","type":"object"}]}`,
			`{"allOf":[{"type":"object"}],"type":"object"}`},
		"property of that": {`{"properties":{"x-mcp-header":{"type":"string"}}}`,
			`{"properties":{"x-mcp-header":{"type":"string"}},"type":"object"}`},
		"no schema":        {`[1]`, `{"type":"object"}`},
		"with white space": {"{ \"type\" :\n \"object\" }", `{"type":"object"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(inputSchema(jsontext.Value(tt.input))); got != tt.want {
				t.Errorf("%s becomes %s, want %s", tt.input, got, tt.want)
			}
		})
	}
}

// A schema as clients take it takes the same objects as the service's own.
func TestInputSchemasTakeTheSame(t *testing.T) {
	schemas := []string{
		`{}`, `{"type":["object","null"],"required":["a"]}`, `{"properties":{"a":true,"b":false}}`,
		`{"properties":{"a":{"type":"string"}},"additionalProperties":false}`, `{"type":"array"}`,
		`{"$ref":"#/$defs/x","$defs":{"x":{"required":["b"]}}}`, `{"anyOf":[{"required":["a"]},{"required":["b"]}]}`,
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(schemas).Draw(t, "schema")
		input := rapid.SampledFrom([]string{
			`{}`, `{"a":1}`, `{"a":"x"}`, `{"b":1}`, `{"a":"x","b":null}`, `{"c":[]}`,
		}).Draw(t, "input")
		own, err := definitions.Compile(jsontext.Value(text))
		if err != nil {
			t.Fatal(err)
		}
		shown, err := definitions.Compile(inputSchema(jsontext.Value(text)))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := own.Check(jsontext.Value(input)), shown.Check(jsontext.Value(input)); (a == nil) != (b == nil) {
			t.Fatalf("%s of %s: %v, as shown %v", input, text, a, b)
		}
	})
}
