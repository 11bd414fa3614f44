package definitions

import (
	"encoding"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// InputSchema is the JSON Schema of what a type is decoded from, by its json tags, with
// examples as JSON texts. Two tags say more of a field: doc describes it, and schema has
// comma separated constraints:
//
//	Text  string `json:"text" doc:"The text." schema:"required,minLength=1"`
//	Count *int   `json:"count" schema:"minimum=1,maximum=20"`
//	Style string `json:"style" schema:"enum=short|long"`
//
// A struct refuses members that it does not have, unless it has a field for them, and
// takes null for those that are not required: the decoder leaves them as they are. Types
// that choose their own JSON form, and those that contain themselves, are anything.
func InputSchema(t reflect.Type, examples ...string) jsontext.Value {
	g := generator{decoded: true, open: map[reflect.Type]bool{}}
	schema := g.of(t)
	for _, example := range examples {
		known, _ := schema["examples"].([]jsontext.Value)
		schema["examples"] = append(known, jsontext.Value(example))
	}
	return encoded(schema)
}

// ResultSchema is the JSON Schema of what a type is encoded as.
func ResultSchema(t reflect.Type) jsontext.Value {
	return encoded(generator{open: map[reflect.Type]bool{}}.of(t))
}

// encoded is a schema as text; one that cannot be written is left for the registry to
// refuse.
func encoded(schema object) jsontext.Value {
	text, err := json.Marshal(schema, json.Deterministic(true))
	if err != nil {
		return jsontext.Value("no schema: " + err.Error())
	}
	return text
}

type generator struct {
	decoded bool
	open    map[reflect.Type]bool // those that are being described
}

type object = map[string]any

func (g generator) of(t reflect.Type) object {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case implements[json.Marshaler](t), implements[json.MarshalerTo](t), implements[json.Unmarshaler](t),
		implements[json.UnmarshalerFrom](t), t == reflect.TypeFor[time.Duration]():
		return object{}
	case implements[encoding.TextMarshaler](t), implements[encoding.TextUnmarshaler](t):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": g.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.of(t.Elem())}
	case reflect.Struct:
		return g.ofStruct(t)
	}
	return object{}
}

func implements[T any](t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[T]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[T]())
}

func (g generator) ofStruct(t reflect.Type) object {
	if g.open[t] {
		return object{}
	}
	g.open[t] = true
	defer delete(g.open, t)
	s := object{"type": "object"}
	m := members{properties: object{}}
	g.collect(t, &m)
	if len(m.properties) > 0 {
		s["properties"] = m.properties
	}
	if len(m.required) > 0 {
		s["required"] = m.required
	}
	if g.decoded && !m.more {
		s["additionalProperties"] = false
	}
	return s
}

// members are those of a struct, and of the structs that are embedded in it.
type members struct {
	properties object
	required   []string
	more       bool // others are taken as well
}

func (g generator) collect(t reflect.Type, m *members) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := field.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		embedded := has(options, "embed") || has(options, "inline") || field.Anonymous && name == ""
		switch {
		case name == "-" && options == "":
		case embedded && inner.Kind() == reflect.Struct:
			g.collect(inner, m)
		case embedded:
			m.more = true
		case field.IsExported():
			g.addField(field, name, m)
		}
	}
}

func (g generator) addField(field reflect.StructField, name string, m *members) {
	if name == "" {
		name = field.Name
	}
	s := g.of(field.Type)
	if text := field.Tag.Get("doc"); text != "" {
		s["description"] = text
	}
	required := false
	for constraint := range strings.SplitSeq(field.Tag.Get("schema"), ",") {
		key, value, given := strings.Cut(constraint, "=")
		switch {
		case key == "required":
			required = true
		case key == "enum":
			s["enum"] = anyOf(strings.Split(value, "|"))
		case given:
			s[key] = constraintValue(value)
		}
	}
	if required {
		m.required = append(m.required, name)
	} else if kind, ok := s["type"].(string); ok && (g.decoded || field.Type.Kind() == reflect.Pointer) {
		s["type"] = []string{kind, "null"}
		if known, ok := s["enum"].([]any); ok {
			s["enum"] = append(known, nil)
		}
	}
	m.properties[name] = s
}

func anyOf(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}

// constraintValue is a constraint's value: a number or truth value if it reads as one.
func constraintValue(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return f
	}
	if b, err := strconv.ParseBool(text); err == nil {
		return b
	}
	return text
}

func has(options, name string) bool {
	return strings.Contains(","+options+",", ","+name+",")
}
