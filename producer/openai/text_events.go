package openai

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// textMaker makes text into the events of one message.
type textMaker struct {
	id   string
	open bool
	said strings.Builder
}

// text is a further piece.
func (m *textMaker) text(id, piece string) (events []object) {
	if !m.open {
		m.id, m.open = id, true
		events = append(events,
			object{}.set("type", "response.output_item.added").set("output_index", 0).
				set("item", textItem(id, statusInProgress, "")),
			partEvent("response.content_part.added", id, 0, 0, textPart("")))
	}
	m.said.WriteString(piece)
	if piece == "" {
		return events
	}
	return append(events, textEvent("response.output_text.delta", id, 0, 0).set("delta", piece))
}

// finish is the end of the message.
func (m *textMaker) finish() []object {
	text := m.said.String()
	return []object{
		textEvent("response.output_text.done", m.id, 0, 0).set("text", text),
		partEvent("response.content_part.done", m.id, 0, 0, textPart(text)),
		object{}.set("type", "response.output_item.done").set("output_index", 0).
			set("item", textItem(m.id, statusCompleted, text)),
	}
}

func textEvent(kind, id string, output, content int) object {
	return object{}.set("type", kind).set("item_id", id).set("output_index", output).set("content_index", content).
		set("logprobs", []string{})
}

func partEvent(kind, id string, output, content int, part jsontext.Value) object {
	return object{}.set("type", kind).set("item_id", id).set("output_index", output).
		set("content_index", content).set("part", part)
}

// eventsOf are the events of a whole output that was not streamed.
func eventsOf(output []jsontext.Value) (events []object) {
	for index, v := range output {
		item := asObject(v)
		if item == nil {
			continue
		}
		id := item.text("id")
		begun := item.clone().set("status", statusInProgress)
		switch item.text("type") {
		case "message":
			events = append(events, itemEvent("added", index, begun.set("content", []string{})))
			events = append(events, contentEvents(id, index, item.list("content"))...)
		case "function_call":
			events = append(events, itemEvent("added", index, begun.set("arguments", "")),
				argumentsEvent("delta", id, index).set("delta", item.text("arguments")),
				argumentsEvent("done", id, index).set("arguments", item.text("arguments")).set("name", item.text("name")))
		default:
			events = append(events, itemEvent("added", index, item))
		}
		events = append(events, itemEvent("done", index, item))
	}
	return events
}

func itemEvent(what string, index int, item object) object {
	return object{}.set("type", "response.output_item."+what).set("output_index", index).set("item", item)
}

func argumentsEvent(what, id string, index int) object {
	return object{}.set("type", "response.function_call_arguments."+what).set("item_id", id).set("output_index", index)
}

func contentEvents(id string, index int, content []jsontext.Value) (events []object) {
	for at, v := range content {
		part := asObject(v)
		if part.text("type") != "output_text" {
			events = append(events, partEvent("response.content_part.added", id, index, at, v),
				partEvent("response.content_part.done", id, index, at, v))
			continue
		}
		text := part.text("text")
		events = append(events, partEvent("response.content_part.added", id, index, at, textPart("")),
			textEvent("response.output_text.delta", id, index, at).set("delta", text),
			textEvent("response.output_text.done", id, index, at).set("text", text),
			partEvent("response.content_part.done", id, index, at, v))
	}
	return events
}

// outputText is the text of all messages of a response.
func outputText(o object) string {
	var text strings.Builder
	for _, v := range o.list("output") {
		item := asObject(v)
		if item.text("type") != "message" {
			continue
		}
		for _, p := range item.list("content") {
			if part := asObject(p); part.text("type") == "output_text" {
				text.WriteString(part.text("text"))
			}
		}
	}
	return text.String()
}
