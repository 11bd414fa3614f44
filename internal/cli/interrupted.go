package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aiecs/tasklane/client"
)

// interruptedError is a command that was interrupted before it was done: what is known then, and how to go on.
type interruptedError struct {
	says string
	why  error // the end of the context
}

func (e *interruptedError) Error() string { return e.says }

func (e *interruptedError) Unwrap() error { return e.why }

// interrupted is the error of a command whose context has ended. What else went wrong before is no matter any more.
func interrupted(ctx context.Context, format string, args ...any) error {
	return &interruptedError{"interrupted " + fmt.Sprintf(format, args...), context.Cause(ctx)}
}

// askTime is how long an interrupted command asks where the task stands.
const askTime = time.Second

// interruptedWait is the error of a command that waited for the end of a task, which goes on without it. again is the
// command line to wait on with.
func interruptedWait(ctx context.Context, c *client.Client, user, task, again string) error {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	stood := ""
	if state, err := c.Get(asking, user, task); err == nil {
		if stood = ", is " + string(state.Status); state.Status.Terminal() {
			return interrupted(ctx, "when task %s was %s; see it with: %s", task, state.Status,
				commandLine("result", user, task))
		}
	}
	return interrupted(ctx, "before task %s had ended%s; it goes on without this command. Wait on with: %s", task, stood,
		again)
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9._:@/+,-]+$`)

// commandLine is a command as it can be typed, of a user or none.
func commandLine(command, user string, words ...string) string {
	if user != "" {
		words = append([]string{"--user", user}, words...)
	}
	line := "tasklane " + command
	for _, word := range words {
		if !plainWord.MatchString(word) {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		line += " " + word
	}
	return line
}
