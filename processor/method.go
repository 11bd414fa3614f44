package processor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Validator is an input that knows more about itself than its types say. Method
// calls Validate on what it decoded, with its error for the sender; see
// [Invalid].
type Validator interface {
	Validate() error
}

// Method is a handler with types: In is decoded from the task's input_data, and
// Out is encoded as JSON as the task's result.
//
// Input that does not fit ends the task as failed with the code invalid_task and
// an error that names the member at fault (an [*InputError]). In should be a
// struct. A member that In does not have is refused, so that a misspelled
// optional one is not passed over; an In that takes any more has a field
//
//	Rest jsontext.Value `json:",embed"`
//
// Members that are not sent are left zero: use pointers, or a Validate method
// ([Validator]), to tell them apart or require them.
func Method[In, Out any](do func(ctx context.Context, c *Context, in In) (Out, error)) Handler {
	return func(ctx context.Context, c *Context) (any, error) {
		var in In
		if err := decodeMember("input_data", c.task.InputData, &in, json.RejectUnknownMembers(true)); err != nil {
			return nil, err
		}
		if err := validate(&in); err != nil {
			return nil, err
		}
		return do(ctx, c, in)
	}
}

// validate asks an input whether it is one, by its pointer: that has the methods
// of the value too.
func validate[In any](in *In) error {
	validator, ok := any(in).(Validator)
	if !ok {
		return nil
	}
	err := validator.Validate()
	var known *InputError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &InputError{Member: "input_data", Problem: "is not valid: " + err.Error()}
}

// InputError says what is wrong with what a task was sent with, for its sender.
// It ends the task as failed with the code invalid_task.
type InputError struct {
	// Member is the member at fault, for example "input_data.text".
	Member string
	// Problem says what is wrong with it and what to send: "must be a string,
	// not a number". It reads on from the member.
	Problem string
}

func (e *InputError) Error() string { return e.Member + " " + e.Problem }

// Invalid is an [InputError] about a member of input_data, which is given
// without that: Invalid("text", "is missing").
func Invalid(member, problem string) error {
	return &InputError{Member: "input_data." + member, Problem: problem}
}

// maxMemberBytes bounds the sender's own text in an error.
const maxMemberBytes = 120

// decodeMember reads a member of the task into v; nothing and null leave v as it
// is.
func decodeMember(member string, payload jsontext.Value, v any, options ...json.Options) error {
	if len(payload) == 0 || payload.Kind() == jsontext.KindNull {
		return nil
	}
	if raw, ok := v.(*jsontext.Value); ok { // it was read when the task was
		*raw = payload.Clone()
		return nil
	}
	err := json.Unmarshal(payload, v, options...)
	if err == nil {
		return nil
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return &InputError{Member: member, Problem: "cannot be read: " + err.Error()}
	}
	return &InputError{Member: pathOf(member, semantic.JSONPointer), Problem: problemOf(semantic)}
}

// pathOf is a JSON pointer below a member as people write it.
func pathOf(member string, below jsontext.Pointer) string {
	for token := range below.Tokens() {
		member += "." + token
	}
	if len(member) <= maxMemberBytes {
		return member
	}
	cut := maxMemberBytes
	for !utf8.RuneStart(member[cut]) {
		cut--
	}
	return member[:cut] + "..."
}

func problemOf(e *json.SemanticError) string {
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		return "is not known; leave it out, or look for a misspelled name"
	case e.GoType == nil:
		return "cannot be read"
	}
	want, got := wantedBy(e.GoType), nameOf(e.JSONKind)
	// "Not a number" would not help where another number is wanted.
	if strings.Contains(want, "number") && e.JSONKind == jsontext.KindNumber {
		got = "this one"
		if n := len(e.JSONValue); n > 0 && n <= maxMemberBytes {
			got = string(e.JSONValue)
		}
	}
	// A type with a form of its own, such as a time, knows best.
	if e.Err != nil && (want == got || want == "an object" && e.JSONKind == jsontext.KindString) {
		return "cannot be read: " + clip(e.Err.Error())
	}
	return fmt.Sprintf("must be %s, not %s", want, got)
}

// wantedBy is what a Go type is written as.
func wantedBy(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number of 0 or more"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	}
	return "an object"
}

func nameOf(k jsontext.Kind) string {
	switch k {
	case jsontext.KindNull:
		return "null"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "an array"
	}
	return "a boolean"
}
