package openai

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// The statuses of a response.
const (
	statusQueued     = "queued"
	statusInProgress = "in_progress"
	statusCompleted  = "completed"
	statusFailed     = "failed"
	statusCancelled  = "cancelled"
	statusIncomplete = "incomplete"
)

// response is what the record of a task says of its response.
type response struct {
	id      string
	created int64
	body    object // the request's
	context object // of the task
}

func responseOf(task *schemas.Task) response {
	r := response{
		id: task.TaskID, created: createdAt(task), body: asObject(task.InputData), context: asObject(task.Context),
	}
	if r.body == nil {
		r.body = object{}
	}
	return r
}

func (r response) background() bool { return r.body.is("background") }

// withStatus is the whole response as it is before its end. Clients that check what they
// get want every member.
func (r response) withStatus(status string) object {
	o := object{}
	for name, missing := range map[string]string{
		"instructions": `null`, "max_output_tokens": `null`, "max_tool_calls": `null`, "metadata": `{}`,
		"parallel_tool_calls": `true`, "previous_response_id": `null`, "prompt_cache_key": `null`,
		"reasoning": `{"effort":null,"summary":null}`, "safety_identifier": `null`, "service_tier": `"auto"`,
		"store": `true`, "temperature": `1`, "text": `{"format":{"type":"text"}}`, "tool_choice": `"auto"`,
		"tools": `[]`, "top_logprobs": `0`, "top_p": `1`, "truncation": `"disabled"`, "user": `null`,
	} {
		o[name] = jsontext.Value(missing)
		if r.body.has(name) {
			o[name] = r.body[name]
		}
	}
	if r.context.has("previous_response_id") {
		o["previous_response_id"] = r.context["previous_response_id"]
	}
	o["model"] = r.body["model"]
	if text := asObject(o["text"]); text != nil {
		o["text"] = text.setMissing("format", map[string]string{"type": "text"}).value()
	}
	return o.set("id", r.id).set("object", "response").set("created_at", r.created).set("status", status).
		set("background", r.background()).set("error", nil).set("incomplete_details", nil).
		set("output", []jsontext.Value{}).set("usage", nil).set("completed_at", nil)
}

// completed is the response of a task that has completed. What the provider has answered
// is kept, but for what is this response's own.
func (r response) completed(e *schemas.Event, output []jsontext.Value, at int64) object {
	o := r.withStatus(statusCompleted)
	own := map[string]bool{"id": true, "object": true, "created_at": true, "background": true,
		"previous_response_id": true, "store": true, "completed_at": true, "user": true, "safety_identifier": true}
	answered := asObject(e.Result)
	if isResponse(answered) {
		for name, value := range answered {
			if !own[name] {
				o[name] = value
			}
		}
		if status := o.text("status"); status != statusIncomplete {
			o.set("status", statusCompleted)
		}
	}
	if output != nil {
		o.set("output", output)
	}
	if !o.has("usage") {
		if usage := usageOf(e.Usage); usage != nil {
			o.set("usage", usage)
		}
	}
	if o.text("status") == statusCompleted {
		o.set("completed_at", at)
	}
	return o
}

// ended is the response of a task that has ended in another way.
func (r response) ended(e *schemas.Event) object {
	if e.Status == schemas.Cancelled && e.ErrorCode == schemas.CodeCancelled || e.Status == schemas.Cancelled &&
		e.ErrorCode == "" {
		o := r.withStatus(statusCancelled)
		if usage := usageOf(e.Usage); usage != nil {
			o.set("usage", usage)
		}
		return o
	}
	f := faultOf(e)
	code := "server_error"
	switch f.status {
	case http.StatusTooManyRequests:
		code = "rate_limit_exceeded"
	case http.StatusBadRequest:
		code = "invalid_prompt"
	}
	o := r.withStatus(statusFailed).set("error", map[string]string{"code": code, "message": f.message})
	if usage := usageOf(e.Usage); usage != nil {
		o.set("usage", usage)
	}
	return o
}

// isResponse reports whether a result is an answer of the Responses API.
func isResponse(o object) bool {
	return o != nil && o.text("object") == "response" && o["output"].Kind() == '['
}

// textItem is a message with one text.
func textItem(id, status, text string) object {
	content := []jsontext.Value{}
	if status == statusCompleted || text != "" {
		content = append(content, textPart(text))
	}
	return object{}.set("id", id).set("type", "message").set("status", status).set("role", "assistant").
		set("content", content)
}

func textPart(text string) jsontext.Value {
	return object{}.set("type", "output_text").set("text", text).set("annotations", []string{}).
		set("logprobs", []string{}).value()
}

// suffix is an id without what kind of object it is of.
func suffix(id string) string {
	_, rest, _ := strings.Cut(id, "_")
	return rest
}
