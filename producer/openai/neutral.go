package openai

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// Providers that do not speak the OpenAI API answer in one neutral form: text, finish_reason
// (stop, length, refusal, tools) and tool_calls {ID, Name, Arguments}.

// finishOf is why such an answer ended, as Chat Completions say it.
func finishOf(result jsontext.Value) string {
	o := asObject(result)
	switch reason := o.text("finish_reason"); {
	case len(toolCalls(o)) > 0, reason == "tools":
		return "tool_calls"
	case reason == "length":
		return "length"
	case reason == "refusal":
		return "content_filter"
	}
	return "stop"
}

// toolCalls are the calls of such an answer, as Chat Completions have them.
func toolCalls(o object) []jsontext.Value {
	var calls []jsontext.Value
	for i, v := range o.list("tool_calls") {
		call := asObject(v)
		name := call.text("Name")
		if name == "" {
			continue
		}
		id := call.text("ID")
		if id == "" {
			id = fmt.Sprintf("call_%d", i)
		}
		calls = append(calls, object{}.set("id", id).set("type", "function").
			set("function", map[string]string{"name": name, "arguments": call.text("Arguments")}).value())
	}
	return calls
}

// callItems are the same as items of a response.
func callItems(result jsontext.Value, id string) []jsontext.Value {
	var items []jsontext.Value
	for i, v := range toolCalls(asObject(result)) {
		call := asObject(v)
		function := asObject(call["function"])
		items = append(items, object{}.set("type", "function_call").set("id", fmt.Sprintf("fc_%s_%d", suffix(id), i)).
			set("call_id", call["id"]).set("name", function["name"]).set("arguments", function["arguments"]).
			set("status", statusCompleted).value())
	}
	return items
}
