package openai

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/schemas"
)

// continued puts the conversation before a response into the request: the provider does
// not know the responses of the door. What the task holds is whole, so it needs no other.
func (d *Door) continued(ctx context.Context, who auth.Identity, r *request) error {
	if !r.body.has("previous_response_id") {
		return nil
	}
	id := r.body.text("previous_response_id")
	previous, err := d.task(ctx, who, id, responsePrefix)
	if err != nil {
		p := notFound("Previous response with id " + quote(id) + " not found.")
		p.Field, p.Type = "previous_response_id", "previous_response_not_found"
		return p
	}
	if previous.Status != schemas.Completed {
		return invalid("previous_response_id", "the response "+quote(id)+" is not completed, it is "+
			string(previous.Status))
	}
	o, err := d.responseNow(ctx, &previous)
	if err != nil {
		return err
	}
	record, err := schemas.DecodeTask(previous.Record)
	if err != nil {
		return err //nolint:wrapcheck // it has been decoded before
	}
	input := slices.Concat(inputItems(asObject(record.InputData)), o.list("output"), inputItems(r.body))
	r.body.set("input", input)
	delete(r.body, "previous_response_id")
	r.context.set("previous_response_id", id)
	return nil
}

// inputItems are the items of a request's input; a text is the message of the user.
func inputItems(body object) []jsontext.Value {
	if text := body["input"]; len(text) > 0 && text.Kind() == '"' {
		part := object{}.set("type", "input_text").set("text", text).value()
		return []jsontext.Value{object{}.set("type", "message").set("role", "user").
			set("content", []jsontext.Value{part}).value()}
	}
	return body.list("input")
}

// Bounds of a page of input items.
const (
	defaultItems = 20
	maxItems     = 100
)

// listInputItems is GET /responses/{id}/input_items.
func (d *Door) listInputItems(c *gin.Context) error {
	query := queryOf(c)
	limit, err := limitOf(query, defaultItems, maxItems)
	if err != nil {
		return err
	}
	order := query.Get("order")
	if order != "" && order != "asc" && order != "desc" {
		return invalid("order", "order must be asc or desc")
	}
	task, err := d.response(c)
	if err != nil {
		return err
	}
	record, err := schemas.DecodeTask(task.Record)
	if err != nil {
		return notFound("the task is no response")
	}
	items := shownItems(task.TaskID, inputItems(asObject(record.InputData)))
	if order != "asc" {
		slices.Reverse(items)
	}
	at := func(id string) int {
		return slices.IndexFunc(items, func(o object) bool { return o.text("id") == id })
	}
	for _, name := range []string{"after", "before"} {
		if id := query.Get(name); id != "" && at(id) < 0 {
			return invalid(name, "there is no item "+quote(id))
		}
	}
	if id := query.Get("after"); id != "" {
		items = items[at(id)+1:]
	}
	if id := query.Get("before"); id != "" && at(id) >= 0 {
		items = items[:at(id)]
	}
	page := map[string]any{"object": "list", "has_more": len(items) > limit, "first_id": nil, "last_id": nil}
	items = items[:min(limit, len(items))]
	if len(items) > 0 {
		page["first_id"], page["last_id"] = items[0]["id"], items[len(items)-1]["id"]
	}
	page["data"] = items
	return answer(c, http.StatusOK, page)
}

// shownItems are items with what the API always shows of them: an id, a status, contents
// in parts.
func shownItems(id string, items []jsontext.Value) []object {
	shown := make([]object, 0, len(items))
	for n, v := range items {
		item := asObject(v)
		if item == nil {
			continue
		}
		if item.has("role") {
			item.setMissing("type", "message")
		}
		prefix := "item"
		if item.text("type") == "message" {
			prefix = "msg"
			item.setMissing("status", statusCompleted)
		}
		if content := item["content"]; len(content) > 0 && content.Kind() == '"' {
			part := object{}.set("type", "input_text").set("text", content).value()
			item.set("content", []jsontext.Value{part})
		}
		item.setMissing("id", fmt.Sprintf("%s_%s_in%d", prefix, suffix(id), n))
		shown = append(shown, item)
	}
	return shown
}
