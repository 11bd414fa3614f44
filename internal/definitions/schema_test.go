package definitions

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func compiled(t *testing.T, text string) *Schema {
	t.Helper()
	schema, err := Compile(jsontext.Value(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return schema
}

const sample = `{"type": "object", "additionalProperties": false, "required": ["text"], "properties": {
	"text": {"type": "string", "minLength": 1, "maxLength": 5},
	"count": {"type": ["integer", "null"], "minimum": 1, "maximum": 20},
	"style": {"enum": ["short", "long", null]},
	"ratio": {"type": "number", "exclusiveMinimum": 0},
	"at": {"type": "string", "pattern": "^[0-9]+$"},
	"list": {"type": "array", "maxItems": 2, "items": {"type": "object", "properties": {"a/b": {"type": "boolean"}}}},
	"either": {"anyOf": [{"type": "string"},
		{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}]},
	"const": {"const": 3}, "never": false}}`

// TestMismatchesAreInWords: an input that does not suit names the place and what to send.
func TestMismatchesAreInWords(t *testing.T) {
	schema := compiled(t, sample)
	for _, c := range []struct{ input, pointer, want string }{
		{`{"text": 5}`, "/text", "must be a string, not a number"},
		{`{"text": null}`, "/text", "must be a string, not null"},
		{`{}`, "/text", "is missing"},
		{``, "/text", "is missing"},
		{`null`, "/text", "is missing"},
		{`[]`, "", "must be an object, not an array"},
		{`{"text": ""}`, "/text", "is empty"},
		{`{"text": "abcdef"}`, "/text", "has 6 characters; send at most 5"},
		{`{"txt": "a"}`, "/txt", "is not known; did you mean text?"},
		{`{"text": "a", "unheard_of": 1}`, "/unheard_of", "is not known; leave it out, or look for a misspelled name"},
		{`{"text": "a", "count": "3"}`, "/count", "must be a whole number, not a string"},
		{`{"text": "a", "count": 1.5}`, "/count", "must be a whole number, not a number"},
		{`{"text": "a", "count": 30}`, "/count", "is 30; send a whole number from 1 to 20"},
		{`{"text": "a", "style": "shrt"}`, "/style", `is "shrt"; send one of "short", "long"`},
		{`{"text": "a", "ratio": 0}`, "/ratio", "is 0; send more than 0"},
		{`{"text": "a", "at": "x"}`, "/at", `is "x"; send a text that matches ^[0-9]+$`},
		{`{"text": "a", "list": [{}, {"a/b": 1}]}`, "/list/1/a~1b", "must be true or false, not a number"},
		{`{"text": "a", "list": [1, 2, 3]}`, "/list/0", "must be an object, not a number"},
		{`{"text": "a", "list": [{}, {}, {}]}`, "/list", "has 3 members; send at most 2"},
		{`{"text": "a", "either": {"id": 1}}`, "/either/id", "must be a string, not a number"},
		{`{"text": "a", "const": 4}`, "/const", "is 4; send 3"},
		{`{"text": "a", "never": 4}`, "/never", "is not known; leave it out"},
		{`{"text": `, "", "cannot be read"},
	} {
		wrong := schema.Check(jsontext.Value(c.input))
		if wrong == nil || string(wrong.Pointer) != c.pointer || !strings.HasPrefix(wrong.Problem, c.want) {
			t.Errorf("%s: %+v, want %q %q", c.input, wrong, c.pointer, c.want)
		}
	}
	for _, input := range []string{`{"text": "a"}`,
		`{"text": "a", "count": null, "style": null, "either": "x", "const": 3.0}`} {
		if wrong := schema.Check(jsontext.Value(input)); wrong != nil {
			t.Errorf("%s: %v", input, wrong)
		}
	}
}

func TestAnExampleIsShown(t *testing.T) {
	schema := compiled(t, `{"type": "object", "required": ["ms"], "examples": [{"ms": 1000, "a": "<b>"}]}`)
	wrong := schema.Check(jsontext.Value("{}"))
	if want := `input_data.ms is missing; send for example {"a":"<b>","ms":1000}`; wrong.Error() != want {
		t.Errorf("%q, want %q", wrong.Error(), want)
	}
	long := schema.Check(jsontext.Value(`{"` + strings.Repeat("é", 1000) + `": 1}`))
	if n := len(long.Error()); n > 1000 {
		t.Errorf("an error of %d bytes", n)
	}
}

// TestSchemasThatAreRefused: none loads anything from elsewhere, multiplies, or is no
// schema.
func TestSchemasThatAreRefused(t *testing.T) {
	doubling := `{"$ref": "#/$defs/a0", "$defs": {`
	for i := range 40 {
		next := "#/$defs/a" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		name := "a0"
		if i > 0 {
			name = "a" + string(rune('0'+(i-1)/10)) + string(rune('0'+(i-1)%10))
		}
		doubling += `"` + name + `": {"allOf": [{"$ref": "` + next + `"}, {"$ref": "` + next + `"}]},`
	}
	doubling += `"a39": {}}}`
	for text, want := range map[string]string{
		`{"type": "strin"}`:                        "compile schema",
		`{"$ref": "file:///etc/passwd"}`:           "can only refer to itself",
		`{"$ref": "http://127.0.0.1:1/x"}`:         "can only refer to itself",
		`{"$schema": "http://127.0.0.1:1/schema"}`: "can only refer to itself",
		`{"$ref": "#/$defs/none"}`:                 "compile schema",
		`{"pattern": "("}`:                         "compile schema",
		`[]`:                                       "compile schema",
		`"text"`:                                   "compile schema",
		`{"a": `:                                   "is no JSON",
		doubling:                                   "references multiply",
		`{"description": "` + strings.Repeat("x", MaxSchemaBytes) + `"}`: "at most 65536",
	} {
		if schema, err := Compile(jsontext.Value(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %v, %v; want %q", text, schema, err, want)
		}
	}
	for _, text := range []string{"", "{}", " true ", " {} "} {
		if schema, err := Compile(jsontext.Value(text)); err != nil || schema != nil || schema.Check(nil) != nil {
			t.Errorf("%q: %v, %v", text, schema, err)
		}
	}
	if schema := compiled(t, `{"properties": {"next": {"$ref": "#"}}, "required": ["v"]}`); schema.Check(
		jsontext.Value(`{"v": 1, "next": {"v": 1, "next": {}}}`)).Pointer != "/next/next/v" {
		t.Error("a schema of what contains itself")
	}
}

type inner struct {
	City string `json:"city"`
}

// told is a type that has everything.
type told struct {
	inner
	Text   string            `json:"text" doc:"The text." schema:"required,minLength=1"`
	Count  *int              `json:"count" schema:"minimum=1,maximum=20"`
	Size   uint8             `json:"size"`
	Style  string            `json:"style" schema:"enum=short|long"`
	Ratio  float64           `json:"ratio,omitzero"`
	On     bool              `json:"on"`
	At     time.Time         `json:"at"`
	Labels map[string]string `json:"labels"`
	Places []inner           `json:"places"`
	Raw    jsontext.Value    `json:"raw"`
	Bytes  []byte            `json:"bytes"`
	Again  *told             `json:"again"`
	Any    any               `json:"any"`
	Hidden string            `json:"-"`
	Plain  int
	secret int
}

func TestSchemasOfTypes(t *testing.T) {
	_ = told{}.secret
	schema := InputSchema(reflect.TypeFor[told](), `{"text": "a"}`)
	want := `{"additionalProperties":false,"examples":[{"text":"a"}],"properties":{` +
		`"Plain":{"type":["integer","null"]},"again":{},"any":{},"at":{"format":"date-time","type":["string","null"]},` +
		`"bytes":{"contentEncoding":"base64","type":["string","null"]},"city":{"type":["string","null"]},` +
		`"count":{"maximum":20,"minimum":1,"type":["integer","null"]},` +
		`"labels":{"additionalProperties":{"type":"string"},"type":["object","null"]},"on":{"type":["boolean","null"]},` +
		`"places":{"items":{"additionalProperties":false,"properties":{"city":{"type":["string","null"]}},"type":"object"},` +
		`"type":["array","null"]},"ratio":{"type":["number","null"]},"raw":{},` +
		`"size":{"minimum":0,"type":["integer","null"]},` +
		`"style":{"enum":["short","long",null],"type":["string","null"]},` +
		`"text":{"description":"The text.","minLength":1,"type":"string"}},"required":["text"],"type":"object"}`
	if string(schema) != want {
		t.Errorf("got\n%s\nwant\n%s", schema, want)
	}
	for _, of := range []reflect.Type{reflect.TypeFor[any](),
		reflect.TypeFor[jsontext.Value](), reflect.TypeFor[error]()} {
		if got := ResultSchema(of); string(got) != "{}" {
			t.Errorf("%v: %s", of, got)
		}
	}
	if _, err := Compile(InputSchema(reflect.TypeFor[told](), "no json")); err == nil {
		t.Error("an example that is no JSON is taken")
	}
}

// drawn is a type whose values are drawn.
type drawn struct {
	A string   `json:"a"`
	B *int64   `json:"b"`
	C []uint   `json:"c"`
	D *drawnIn `json:"d"`
	E bool     `json:"e"`
}

type drawnIn struct {
	F float64           `json:"f"`
	G map[string]string `json:"g"`
}

// TestWhatATypeTakesItsSchemaTakes: whatever is encoded of a type suits its schemas, and
// what does not suit the decoder does not take either.
func TestWhatATypeTakesItsSchemaTakes(t *testing.T) {
	input, err := Compile(InputSchema(reflect.TypeFor[drawn]()))
	if err != nil {
		t.Fatal(err)
	}
	result, err := Compile(ResultSchema(reflect.TypeFor[drawn]()))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Make[drawn]().Draw(t, "value")
		text, err := json.Marshal(value, jsontext.AllowInvalidUTF8(true))
		if err != nil {
			t.Skip("no JSON") // an infinite number
		}
		if wrong := input.Check(text); wrong != nil {
			t.Fatalf("%s: %v", text, wrong)
		}
		if wrong := result.Check(text); wrong != nil {
			t.Fatalf("%s: %v", text, wrong)
		}
		broken := rapid.SampledFrom([]string{`{"a": 1}`, `{"b": "x"}`, `{"b": 1.5}`,
			`{"c": [-1]}`, `{"c": {}}`, `{"d": {"f": "x"}}`,
			`{"d": {"g": {"k": 1}}}`, `{"e": 0}`, `{"z": 1}`, `{"d": {"z": 1}}`, `[]`, `"x"`, `1`}).Draw(t, "broken")
		decodes := json.Unmarshal([]byte(broken), new(drawn), json.RejectUnknownMembers(true)) == nil
		if suits := input.Check(jsontext.Value(broken)) == nil; suits || decodes {
			t.Fatalf("%s: suits %t, is decoded %t", broken, suits, decodes)
		}
	})
}

// FuzzSchema: no schema and no input makes the check fall over.
func FuzzSchema(f *testing.F) {
	f.Add(sample, `{"text": "a"}`)
	f.Add(`{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}`, `{}`)
	f.Add(`{"$dynamicRef": "#x", "$dynamicAnchor": "x"}`, `[[[]]]`)
	f.Add(`{"multipleOf": 1e-400, "not": {"if": {"contains": {}}}, "unevaluatedProperties": false}`, `1e400`)
	f.Fuzz(func(t *testing.T, text, input string) {
		schema, err := Compile(jsontext.Value(text))
		if err != nil {
			return
		}
		if wrong := schema.Check(jsontext.Value(input)); wrong != nil && (wrong.Problem == "" || len(wrong.Error()) > 2000) {
			t.Fatalf("%d bytes: %.200s", len(wrong.Error()), wrong.Error())
		}
	})
}
