package processor

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"
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
