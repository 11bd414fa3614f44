package openai

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// failureWire is an error in an answer whose status says nothing of it. Some servers write a text instead.
type failureWire struct {
	Code    jsontext.Value `json:"code"`
	Type    string         `json:"type"`
	Message string         `json:"message"`
}

// UnmarshalJSON takes an object, of which what is left out stays, or a text. Anything else, and an object that has no
// such members, is the message as it is.
func (f *failureWire) UnmarshalJSON(b []byte) error {
	type plain failureWire
	raw := jsontext.Value(b)
	switch {
	case raw.Kind() == '{' && json.Unmarshal(b, (*plain)(f)) == nil,
		raw.Kind() == '"' && json.Unmarshal(b, &f.Message) == nil, raw.Kind() == 'n':
		return nil
	}
	f.Message = string(b)
	return nil
}

// failureIn is the failure that a document is instead of an answer, nil if it is none: under "error", or itself, as
// older versions of vLLM write it.
func failureIn(inside *failureWire, object string, document []byte) *failureWire {
	if inside != nil || object != "error" {
		return inside
	}
	f := new(failureWire)
	_ = json.Unmarshal(document, f) // takes anything
	return f
}

// code is a failure's code, its type without one.
func (f *failureWire) code() string {
	var text string
	switch f.Code.Kind() {
	case '"':
		_ = json.Unmarshal(f.Code, &text) // a string always is one
	case '0':
		text = string(f.Code)
	}
	if text == "" {
		text = f.Type
	}
	return text
}
