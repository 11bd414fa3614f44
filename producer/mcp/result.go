package mcp

import (
	"cmp"
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// maxStructured is the longest result that is told twice, as text and as structured content.
const maxStructured = 256 << 10

// resultOf is what became of a task as the result of a call. A task that failed is a result too, with isError: the
// model reads it.
func (d *Door) resultOf(ctx context.Context, r *request, e *schemas.Event) (object, error) {
	meta := object{metaTaskID: e.TaskID}
	if e.Status != schemas.Completed {
		if code := e.ErrorCode; code != "" {
			meta[metaErrorCode] = string(code)
		}
		return failed(faultText(e), meta), nil
	}
	value, err := d.valueOf(ctx, e)
	if err != nil {
		return nil, err
	}
	result := object{"content": []object{textContent(value)}, "isError": false, "_meta": meta}
	if len(value) <= maxStructured && isStructured(r, value) {
		result["structuredContent"] = value
	}
	return result, nil
}

// valueOf is a result, wherever it is kept. A large one has its part of the door's room until ctx ends.
func (d *Door) valueOf(ctx context.Context, e *schemas.Event) (jsontext.Value, error) {
	if e.ResultArtifact == nil {
		return e.Result, nil
	}
	size := min(max(e.ResultArtifact.Size, 1), resultRoom)
	if err := d.results.Acquire(ctx, size); err != nil {
		return nil, httpedge.Unavailable("too many large results are being answered; try again")
	}
	context.AfterFunc(ctx, func() { d.results.Release(size) })
	return d.config.Result(ctx, e.Key(), e.ResultArtifact)
}

// isStructured reports whether a result goes into structured content in the request's version.
func isStructured(r *request, value jsontext.Value) bool {
	if len(value) == 0 {
		return false
	}
	switch kind := value.Kind(); r.version {
	case version20250326:
		return false
	case version20260728:
		return kind == '{' || kind == '['
	default:
		return kind == '{'
	}
}

// textContent is a result as text: a text as it is, anything else as JSON.
func textContent(value jsontext.Value) object {
	text := "null"
	if len(value) > 0 {
		text = string(value)
		if value.Kind() == '"' {
			_ = json.Unmarshal(value, &text, jsontext.AllowInvalidUTF8(true)) // it is a JSON string
		}
	}
	return object{"type": "text", "text": text}
}

// failed is the result of a call that has none, with a text for the model.
func failed(text string, meta object) object {
	return object{"content": []object{{"type": "text", "text": text}}, "isError": true, "_meta": meta}
}

// faultText says why a task has no result, and what to do about it.
func faultText(e *schemas.Event) string {
	text := cmp.Or(e.Error, "the task ended as "+string(e.Status))
	if hint := hintOf(e); hint != "" {
		text += "\n" + hint
	}
	return text
}

func hintOf(e *schemas.Event) string {
	if e.Status == schemas.Lost {
		return "Call the tool again: the task is lost and nothing runs it any more."
	}
	switch e.ErrorCode {
	case schemas.CodeInvalidTask:
		return "Call the tool again with arguments that suit its schema."
	case schemas.CodeUnknownService, schemas.CodeUnknownVersion:
		return "No processor offers the service now: try again later, or ask the operator."
	case schemas.CodeSoftTimeLimit, schemas.CodeTimeLimit:
		return "It took longer than it may: ask for less at a time."
	case schemas.CodeWorkerLost:
		return "The processes that ran it ended without an answer: it may be what was asked for that ends them."
	case schemas.CodeOverLimit:
		return "A limit is used up: try again later."
	case schemas.CodeBlocked:
		return "An operator has switched this off: do not try again."
	case schemas.CodeCancelled:
		return "It was cancelled: call the tool again if it is still wanted."
	case schemas.CodeExpired:
		return "It was not begun in time: try again later."
	case schemas.CodeDuplicate:
		return "Another task does the same: see " + cmp.Or(e.DuplicateOf, "that one") + "."
	}
	return ""
}
