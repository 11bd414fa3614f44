package echo

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
)

// Mode and Name address the service in a task.
const (
	Mode = "debug"
	Name = "echo"
)

// Options are what the service can be given from outside.
type Options struct {
	// Exit ends the process, for the task exit; os.Exit if nil.
	Exit func(code int)
	// TraceFile is a file that gets a line for every start of a task: what was
	// really executed, which the log of events cannot tell. None if empty.
	TraceFile string
}

// New is the service debug/echo.
func New(opts Options) processor.Service {
	if opts.Exit == nil {
		opts.Exit = os.Exit
	}
	methods := map[string]processor.Handler{
		"echo":     echo,
		"sleep":    method(sleepExample, sleep),
		"progress": method(progressExample, progress),
		"stream":   method(streamExample, stream),
		"fail":     method(failExample, fail),
		"hang":     method(hangExample, hang),
		"panic":    method(panicExample, panics),
		"exit":     method(exitExample, exit(opts.Exit)),
	}
	generic := execute(methods)
	if opts.TraceFile != "" {
		for name, handler := range methods {
			methods[name] = traced(opts.TraceFile, handler)
		}
		generic = traced(opts.TraceFile, generic)
	}
	return processor.Service{
		Mode: Mode, Name: Name, Version: "1", Description: "Waits, reports, streams, fails, panics and exits as it is told.",
		Methods: methods, Execute: generic, Schemas: taskSchemas(),
	}
}

// echo returns input_data as it came.
func echo(_ context.Context, c *processor.Context) (any, error) {
	input := jsontext.Value("{}")
	err := c.Input(&input)
	return input, err
}

// Reply is the answer to a task name that the service does not have.
type Reply struct {
	Echo any    `json:"echo"`
	Note string `json:"note"`
}

func execute(methods map[string]processor.Handler) processor.Handler {
	names := make([]string, 0, len(methods))
	for name := range methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return func(ctx context.Context, c *processor.Context) (any, error) {
		input, err := echo(ctx, c)
		if err != nil {
			return nil, err
		}
		note := "there is no task \"" + c.Task().TaskName + "\", so input_data came back; there are " +
			strings.Join(names, ", ")
		return &Reply{Echo: input, Note: note}, nil
	}
}
