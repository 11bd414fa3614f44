package processor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Execute runs the handler of the context's task, one attempt, and calls done with
// what came of it: plain data, which nothing of the service is needed for or can
// change any more. A handler's error is a [*HandlerError]. A panic, of the handler, or
// of its result or error when they are asked for their JSON and text, is a
// [*PanicError], and so is the end of the goroutine in any of these (runtime.Goexit,
// or the FailNow of a test): done is called then too, but Execute does not return. A
// result that cannot be kept is an error.
func (r *Registry) Execute(ctx context.Context, c *Context, done func(result jsontext.Value, err error)) {
	var result jsontext.Value
	var err error
	returned := false
	defer func() {
		if !returned {
			err = &PanicError{text: "the service panicked: it ended its goroutine instead of returning", Stack: debug.Stack()}
		}
		c.files.end()
		done(result, err)
	}()
	result, err = r.answer(ctx, c)
	returned = true
}

func (r *Registry) execute(ctx context.Context, c *Context) (jsontext.Value, error) {
	t := c.task
	handler, err := r.Lookup(t.Mode, t.Service, t.TaskName)
	if err != nil {
		return nil, err
	}
	if err := r.checkInput(t); err != nil {
		return nil, err
	}
	value, err := handler(ctx, c)
	if err != nil {
		return nil, err
	}
	return encodeResult(value, c.maxResult())
}

// HandlerError is a handler's error as plain data: its text and its marks, asked for
// where a panic of its methods ends one attempt and nothing else. errors.Is and
// errors.As find this package's own errors in it, and those of a context. Nothing of
// the service is run by asking it.
type HandlerError struct {
	text     string
	marks    []error
	returned error
}

func (e *HandlerError) Error() string { return e.text }

// Unwrap is what the error is marked as: plain copies.
func (e *HandlerError) Unwrap() []error { return e.marks }

// Returned is what the handler returned. Asking it anything, its text too, runs the
// service's code.
func (e *HandlerError) Returned() error { return e.returned }

// readHandlerError asks an error for all that is ever asked of it.
func readHandlerError(err error) *HandlerError {
	e := &HandlerError{text: clip(errorText(err)), returned: err}
	plain := errors.New(e.text)
	var marked mark
	if errors.As(err, &marked) {
		e.add(plainMark(marked, plain))
	}
	var input *InputError
	if errors.As(err, &input) && input != nil {
		e.add(&InputError{Member: clip(input.Member), Problem: clip(input.Problem)})
	}
	var upstream *UpstreamError
	if errors.As(err, &upstream) && upstream != nil {
		e.add(upstream.plain())
	}
	var unknown *UnknownServiceError
	if errors.As(err, &unknown) && unknown != nil {
		known := *unknown
		known.Known = slices.Clone(known.Known)
		e.add(&known)
	}
	var panicked *PanicError
	if errors.As(err, &panicked) && panicked != nil {
		e.add(&PanicError{text: e.text, Stack: slices.Clone(panicked.Stack)})
	}
	for _, sentinel := range [...]error{
		ErrTimeLimit, ErrHeartbeat, ErrCancelled, ErrHandedOver, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, sentinel) {
			e.add(sentinel)
		}
	}
	return e
}

func (e *HandlerError) add(m error) {
	if m != nil {
		e.marks = append(e.marks, m)
	}
}

// plainMark is a copy of a mark around a text, nil if it is not one of this
// package's: a type that has one of them inside decides nothing.
func plainMark(m mark, text error) error {
	switch m := m.(type) {
	case *RetryableError:
		return &RetryableError{Err: text, After: m.After, At: m.At}
	case *PermanentError:
		return &PermanentError{Err: text}
	case *LostError:
		return &LostError{Err: text}
	case *SnoozeError:
		return &SnoozeError{For: m.For, Until: m.Until, Waits: m.Waits.plain()}
	}
	return nil
}

// answer runs a handler and asks what it returned for all that goes into the task's
// history. Both results are plain data, which nothing of the service reaches any
// more. A panic on the way is the answer.
func (r *Registry) answer(ctx context.Context, c *Context) (jsontext.Value, error) {
	var result jsontext.Value
	var returned, plain error
	if p := caught(func() { result, returned = r.execute(ctx, c) }); p != nil {
		return nil, p.plain("")
	}
	if returned == nil {
		return result, nil
	}
	if p := caught(func() { plain = readHandlerError(returned) }); p != nil {
		return nil, p.plain(fmt.Sprintf("its error, a %T, panicked when it was asked for its text and marks "+
			"(where there is no error, return nil and no nil pointer): ", returned))
	}
	return nil, plain
}

// caughtPanic is a panic of the service's code.
type caughtPanic struct {
	value any
	stack []byte
}

// caught is what f panics with, nil if it does not.
func caught(f func()) (p *caughtPanic) {
	defer func() {
		if v := recover(); v != nil {
			p = &caughtPanic{v, debug.Stack()}
		}
	}()
	f()
	return nil
}

// plain is the panic as an error. Its text is the service's too, and may panic again.
func (p *caughtPanic) plain(before string) *PanicError {
	var text string
	if again := caught(func() { text = fmt.Sprint(p.value) }); again != nil {
		text = fmt.Sprintf("a %T, which panics when it is printed", p.value)
	}
	return &PanicError{Value: p.value, Stack: p.stack, text: clip("the service panicked: " + before + text)}
}

// PanicError is a handler's panic, caught. Value is the service's; Error has asked it
// for its text already.
type PanicError struct {
	Value any
	Stack []byte

	text string // empty in one that a service has made
}

func (e *PanicError) Error() string {
	if e.text != "" {
		return e.text
	}
	return fmt.Sprintf("the service panicked: %v", e.Value)
}

func encodeResult(value any, most int) (jsontext.Value, error) {
	if raw, ok := value.(jsontext.Value); ok && len(raw) <= most {
		// A service that passes JSON on has nothing to encode. It is copied before it
		// is checked: a goroutine that it left behind may still write to it. What is
		// wrong with it is said below.
		own := slices.Clone(raw)
		if err := own.Format(); err == nil {
			return own, nil
		}
		value = slices.Clone(raw)
	}
	encoded, err := json.Marshal(value, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("the service's result cannot be written as JSON: %w", err)
	}
	if len(encoded) > most {
		return nil, fmt.Errorf("the service's result has %d bytes; at most %d are kept: return less, or a reference to it",
			len(encoded), most)
	}
	return encoded, nil
}
