package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// Bounds of what an event carries, in bytes, so that it fits into its topic
// whatever a service does.
const (
	maxResultBytes = 1 << 20
	maxErrorBytes  = 8 << 10
	maxReportBytes = 256 << 10
)

// SoftLimited is an attempt's error, as the soft time limit's if that is what
// ended its context.
func SoftLimited(ctx context.Context, soft time.Duration, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), ErrTimeLimit) {
		return &limitError{limit: soft, cause: ErrTimeLimit, code: schemas.CodeSoftTimeLimit, err: err}
	}
	return err
}

// HardLimited is the error of an attempt that had not returned at its time limit.
func HardLimited(hard time.Duration) error {
	return &limitError{limit: hard, code: schemas.CodeTimeLimit}
}

// Ending is how a task ends whose last attempt returned this.
type Ending struct {
	Status schemas.Status
	Code   schemas.ErrorCode
	// Error is for people, cut to what an event carries.
	Error string
	// Upstream is what another system answered, if that is why.
	Upstream *schemas.Upstream
	Result   jsontext.Value
	Message  string
}

// EndingOf is the end of a task after an attempt that is not followed by another
// one. Why there is none is added to the error if it was worth one; see
// [Decision].
func EndingOf(t *schemas.Task, result jsontext.Value, err error, d Decision) Ending {
	if err == nil {
		return Ending{Status: schemas.Completed, Result: result, Message: "Completed task: " + t.TaskName}
	}
	text := errorText(err)
	if d.Why != "" && worthAttempt(err) {
		text += " (no further attempt: " + d.Why + ")"
	}
	e := Ending{
		Status: schemas.Failed, Code: codeOf(err), Error: clip(text), Message: "Failed to execute task: " + t.TaskName,
	}
	var upstream *UpstreamError
	if errors.As(err, &upstream) {
		answered := upstream.Upstream
		e.Upstream = &answered
	}
	var input *InputError
	var stopped *stoppedError
	switch {
	case errors.As(err, &stopped):
		if e.Status = stopped.status; e.Status == schemas.Cancelled {
			e.Message = "Cancelled: " + t.TaskName
		}
	case e.Code == schemas.CodeTimeLimit || e.Code == schemas.CodeSoftTimeLimit:
		e.Status = schemas.TimedOut
	case e.Code == schemas.CodeServiceError && errors.As(err, &input):
		e.Code = schemas.CodeInvalidTask
	}
	return e
}

// errorText is what an event says of an error. An error without a text would be
// left out of the event, and its reader could not tell that there was one.
func errorText(err error) string {
	if text := err.Error(); strings.TrimSpace(text) != "" {
		return text
	}
	return "the service gave no text for its error"
}

// worthAttempt reports whether the error itself asks for another attempt.
func worthAttempt(err error) bool {
	switch markOf(err).(type) {
	case *RetryableError, *SnoozeError, *LostError:
		return true
	}
	return false
}

// outcome is what a handler returned, and what follows from it.
type outcome struct {
	result   jsontext.Value
	stored   *schemas.Artifact // has the result if it is large
	err      error
	decision Decision
}

// conclude ends the job with an outcome, frees its slot and keeps the books;
// false if it had ended before.
func (l *lane) conclude(a *attempt, o outcome) bool {
	t := a.job.Task
	e := endOf(t, o)
	if c := a.context.Load(); c != nil {
		totals := c.Totals()
		e.Usage, e.Files, e.Metrics = schemas.Total(a.used, totals.Usage), totals.Files, totals.Metrics
	}
	ended, concluded := a.held.Conclude(a.job, a, e)
	if concluded {
		l.meter.of(t).finished(e.Status, ended.Ran)
		l.logEnd(a.job, t, ended.Attempt, e, o.err)
	}
	a.free()
	return concluded
}

// endOf is the end of a task with this outcome.
func endOf(t *schemas.Task, o outcome) lanes.End {
	e := EndingOf(t, o.result, o.err, o.decision)
	return lanes.End{Status: e.Status, Code: e.Code, Error: e.Error, Message: e.Message, Result: e.Result,
		ResultArtifact: o.stored, Upstream: e.Upstream}
}

func codeOf(err error) schemas.ErrorCode {
	var limit *limitError
	var panicked *PanicError
	var unknown *UnknownServiceError
	var stopped *stoppedError
	var upstream *UpstreamError
	var lost *LostError
	switch {
	case errors.As(err, &stopped):
		return stopped.code
	case errors.As(err, &limit):
		return limit.code
	case errors.As(err, &panicked):
		return schemas.CodePanic
	case errors.As(err, &unknown):
		return schemas.CodeUnknownService
	case errors.As(err, &lost):
		return schemas.CodeWorkerLost
	case errors.As(err, &upstream) && upstream.Code != "":
		return upstream.Code
	}
	return schemas.CodeServiceError
}

// clip cuts an error's text to what an event carries, at a character's edge.
func clip(text string) string {
	const mark = " … (cut)"
	cut := len(text) > maxErrorBytes
	text = strings.ToValidUTF8(text[:min(len(text), maxErrorBytes)], "\uFFFD")
	if len(text) > maxErrorBytes { // what was no text took less room
		cut = true
		end := maxErrorBytes
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	if cut {
		text = strings.TrimSuffix(text, "\uFFFD") + mark
	}
	return text
}

// What happens to tasks by the thousand is logged with its code in the message: lines
// that repeat are summed up by that (internal/logrepeat), and a flood of one code must
// not hide the first of another.

// logEnd tells the operator of a task that did not complete, with the stack if its
// last attempt panicked.
func (l *lane) logEnd(j *shard.Job, t *schemas.Task, attempt int, e lanes.End, err error) {
	if e.Status == schemas.Completed {
		return
	}
	args := []any{
		"task_id", t.TaskID, "user_id", t.UserID, "attempt", attempt, "status", e.Status, "code", e.Code, "error", e.Error,
	}
	if d := lanes.DeliveryOf(j); d != nil {
		if trace := d.Header(schemas.HeaderTraceparent); trace != "" {
			args = append(args, "traceparent", trace)
		}
	}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		args = append(args, "stack", string(panicked.Stack))
	}
	l.log.Log(context.Background(), endLevel(e), "task ended: "+string(e.Code), args...)
}

// endLevel is how much an end concerns an operator: what somebody asked for does not,
// and what the sender has to mend is no error.
func endLevel(e lanes.End) slog.Level {
	switch {
	case e.Status == schemas.Cancelled:
		return slog.LevelDebug
	case e.Code == schemas.CodeBlocked, e.Code == schemas.CodeInvalidTask:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// logLetter tells the operator of a dead letter.
func (l *lane) logLetter(j *shard.Job, reason schemas.ErrorCode, why string) {
	args := append([]any{"error", why}, lanes.DeliveryOf(j).Place()...)
	if t := j.Task; t != nil {
		args = append(args, "task_id", t.TaskID, "user_id", t.UserID)
	}
	l.log.Warn("dead letter: "+string(reason), args...)
}

const (
	// maxInlineBytes is what a result may have that goes into the terminal event where there is a store.
	maxInlineBytes = 256 << 10
	// maxStoredBytes is what one may have that goes to the store.
	maxStoredBytes = 32 << 20
	// storeTimeout is how long storing a result may take, also where the attempt's own time is over: the
	// work has been done.
	storeTimeout = time.Minute
	// resultKept is how much longer a result is kept than other files: those who look for it find the
	// task first, which goes when files would.
	resultKept = 24 * time.Hour
)

// maxResult is what a result may have, in bytes.
func (c *Context) maxResult() int {
	if c.files.store == nil {
		return maxResultBytes
	}
	return maxStoredBytes
}

// storeResult puts a large result into the store, as a file of the task's user. Where that cannot be had and
// the result fits into an event, it goes there.
func (l *lane) storeResult(ctx context.Context, t *schemas.Task, result jsontext.Value) (o outcome) {
	store := l.config.Artifacts
	if store == nil || len(result) <= maxInlineBytes {
		return outcome{result: result}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	stored, err := putResult(ctx, store, t.UserID, result)
	switch {
	case err == nil:
		return outcome{stored: &stored}
	case len(result) <= maxResultBytes:
		l.log.Warn("a large result goes into its event, because it could not be stored apart", "task_id", t.TaskID,
			"user_id", t.UserID, "bytes", len(result), "error", err)
		return outcome{result: result}
	}
	return outcome{err: fmt.Errorf("the result of %d bytes could not be stored: %w", len(result), err)}
}

func putResult(ctx context.Context, store Artifacts, user string, result []byte) (schemas.Artifact, error) {
	upload, err := store.Create(user)
	if err != nil {
		return schemas.Artifact{}, err //nolint:wrapcheck // the caller says what for
	}
	defer upload.Close()
	if _, err := upload.Write(result); err != nil {
		return schemas.Artifact{}, err //nolint:wrapcheck // the caller says what for
	}
	return upload.Commit(ctx, "result.json", "application/json", resultKept) //nolint:wrapcheck // the same
}
