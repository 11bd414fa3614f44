package openai

import (
	"maps"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object whose members are kept as they came.
type object map[string]jsontext.Value

// asObject is a value that is an object, nil for any other.
func asObject(v jsontext.Value) object {
	if len(v) == 0 || v.Kind() != '{' {
		return nil
	}
	var o object
	if json.Unmarshal(v, &o, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) != nil {
		return nil
	}
	return o
}

// set gives a member a value that can be written as JSON.
func (o object) set(name string, value any) object {
	o[name] = valueOf(value)
	return o
}

// setMissing gives a member a value unless it has one.
func (o object) setMissing(name string, value any) object {
	if !o.has(name) {
		o.set(name, value)
	}
	return o
}

// clone is a copy that can be changed.
func (o object) clone() object { return maps.Clone(o) }

// has reports whether a member is there and not null.
func (o object) has(name string) bool { return len(o[name]) > 0 && o[name].Kind() != 'n' }

// text is a member that is a text, "" for any other.
func (o object) text(name string) string { return textOf(o[name]) }

// is reports whether a member is true.
func (o object) is(name string) bool { return len(o[name]) > 0 && o[name].Kind() == 't' }

// list is a member that is an array, nil for any other.
func (o object) list(name string) []jsontext.Value { return listOf(o[name]) }

// index is a member that is a whole number, -1 for any other.
func (o object) index(name string) int {
	var n int
	if len(o[name]) == 0 || json.Unmarshal(o[name], &n) != nil {
		return -1
	}
	return n
}

// value is the object as JSON, the members in the order of their names.
func (o object) value() jsontext.Value { return valueOf(o) }

func valueOf(value any) jsontext.Value {
	if v, is := value.(jsontext.Value); is {
		return v
	}
	b, err := json.Marshal(value, json.Deterministic(true), jsontext.AllowInvalidUTF8(true),
		jsontext.AllowDuplicateNames(true))
	if err != nil { // all that comes here has been read from JSON or is plain
		return jsontext.Value("null")
	}
	return b
}

func textOf(v jsontext.Value) string {
	var s string
	if len(v) == 0 || v.Kind() != '"' || json.Unmarshal(v, &s, jsontext.AllowInvalidUTF8(true)) != nil {
		return ""
	}
	return s
}

func listOf(v jsontext.Value) []jsontext.Value {
	var list []jsontext.Value
	if len(v) == 0 || v.Kind() != '[' || json.Unmarshal(v, &list, jsontext.AllowInvalidUTF8(true),
		jsontext.AllowDuplicateNames(true)) != nil {
		return nil
	}
	return list
}

// plainText is what a service's result says as text: the result if it is a text, its
// member of one of the usual names, or all of it as JSON.
func plainText(result jsontext.Value) string {
	if len(result) == 0 || result.Kind() == 'n' {
		return ""
	}
	if result.Kind() == '"' {
		return textOf(result)
	}
	if o := asObject(result); o != nil {
		for _, name := range []string{"text", "output_text", "answer", "summary", "content", "message"} {
			if len(o[name]) > 0 && o[name].Kind() == '"' {
				return o.text(name)
			}
		}
	}
	return strings.TrimSpace(string(result))
}
