package mcp

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// mirrored is a member of schemas by which clients are told to repeat an argument in a header. Nothing reads those
// here.
const mirrored = "x-mcp-header"

// inputSchema is the schema of a task's input as clients take it: an object whose type is "object" and whose
// properties are objects, where JSON Schema allows more. It takes the same arguments.
func inputSchema(input jsontext.Value) jsontext.Value {
	plain := jsontext.Value(`{"type":"object"}`)
	if len(input) == 0 || input.Kind() == 't' || input.Kind() == 'n' {
		return plain
	}
	if input.Kind() == 'f' {
		return jsontext.Value(`{"not":{},"type":"object"}`)
	}
	if bytes.Contains(input, []byte(mirrored)) {
		input = withoutMirrored(input)
	}
	schema := members(input)
	if schema == nil {
		return plain
	}
	if kind := schema["type"]; textOf(kind) != "object" {
		if len(kind) > 0 && !allowsObject(kind) {
			schema["not"] = jsontext.Value("{}") // it takes no object, and so nothing that can be sent
		}
		schema["type"] = jsontext.Value(`"object"`)
	}
	if properties := members(schema["properties"]); properties != nil {
		for name, property := range properties {
			switch property.Kind() {
			case 't':
				properties[name] = jsontext.Value("{}")
			case 'f':
				properties[name] = jsontext.Value(`{"not":{}}`)
			}
		}
		schema["properties"], _ = json.Marshal(properties, json.Deterministic(true))
	}
	whole, err := json.Marshal(schema, json.Deterministic(true))
	if err != nil {
		return plain
	}
	return whole
}

func allowsObject(kind jsontext.Value) bool {
	var kinds []string
	return kind.Kind() == '[' && json.Unmarshal(kind, &kinds) == nil && slices.Contains(kinds, "object")
}

// withoutMirrored is a schema without that member, wherever it stands.
func withoutMirrored(schema jsontext.Value) jsontext.Value {
	var document any
	if json.Unmarshal(schema, &document) != nil {
		return schema
	}
	strip(document)
	whole, err := json.Marshal(document, json.Deterministic(true))
	if err != nil {
		return schema
	}
	return whole
}

func strip(node any) {
	switch n := node.(type) {
	case []any:
		for _, member := range n {
			strip(member)
		}
	case map[string]any:
		if _, isText := n[mirrored].(string); isText {
			delete(n, mirrored)
		}
		for _, member := range n {
			strip(member)
		}
	}
}
