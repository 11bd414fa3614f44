package openai

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// chat is an answer of the Chat Completions API.
type chat struct {
	call    *transport.Call
	onDelta func(provider.Delta) error
	raw     bool // the chunks are passed on
	// hideUsage keeps the chunk with the usage back from readers who did not ask for it.
	hideUsage bool

	head    chunkWire
	choices map[int]*choice
	ended   bool // it had its end mark, or came as a document
	usage   jsontext.Value
	object  jsontext.Value // of an answer that was not streamed
}

// choice is one of the answers to a prompt; there is one unless more were asked for.
type choice struct {
	text, refusal, reasoning strings.Builder
	tools                    []*toolParts
	logprobs                 []jsontext.Value
	finish                   string
}

type toolParts struct {
	index     int // the server's
	id, name  string
	arguments strings.Builder
}

// chunkWire is a chunk of a stream, or a whole completion, which has messages in the place of deltas.
type chunkWire struct {
	Object      string         `json:"object"`
	ID          string         `json:"id"`
	Model       string         `json:"model"`
	Created     jsontext.Value `json:"created"`
	Fingerprint jsontext.Value `json:"system_fingerprint"`
	Tier        jsontext.Value `json:"service_tier"`
	Choices     []choiceWire   `json:"choices"`
	Usage       jsontext.Value `json:"usage"`
	Error       *failureWire   `json:"error"`
}

type choiceWire struct {
	Index    int         `json:"index"`
	Delta    messageWire `json:"delta"`
	Message  messageWire `json:"message"`
	Finish   string      `json:"finish_reason"`
	Logprobs struct {
		Content []jsontext.Value `json:"content"`
	} `json:"logprobs"`
}

type messageWire struct {
	Content jsontext.Value `json:"content"`
	Refusal string         `json:"refusal"`
	// What compatible servers call the reasoning.
	ReasoningContent string         `json:"reasoning_content"`
	Reasoning        jsontext.Value `json:"reasoning"`
	Tools            []toolWire     `json:"tool_calls"`
}

type toolWire struct {
	Index    int    `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string         `json:"name"`
		Arguments jsontext.Value `json:"arguments"`
	} `json:"function"`
}

// arguments are a piece of JSON as a text; some servers write the document itself.
func (t toolWire) arguments() string {
	arguments := t.Function.Arguments
	switch arguments.Kind() {
	case '"':
		var text string
		_ = json.Unmarshal(arguments, &text) // a string always is one
		return text
	case '{':
		return string(arguments)
	}
	return ""
}

func (c *chat) Event(data []byte) (last bool, err error) {
	if string(data) == "[DONE]" {
		c.ended = true
		return true, nil
	}
	var chunk chunkWire
	if json.Unmarshal(data, &chunk) != nil {
		return false, transport.ErrMalformed
	}
	if f := failureIn(chunk.Error, chunk.Object, data); f != nil {
		return true, c.call.Failed(f.code(), f.Message)
	}
	if c.head.ID == "" {
		c.head = chunk
	}
	if len(chunk.Tier) > 0 {
		c.head.Tier = chunk.Tier
	}
	if chunk.Usage.Kind() == '{' {
		c.usage = chunk.Usage
	}
	var deltas []provider.Delta
	for _, wire := range chunk.Choices {
		deltas = append(deltas, c.add(wire, wire.Delta)...)
	}
	onlyUsage := len(chunk.Choices) == 0 && chunk.Usage.Kind() == '{'
	if c.raw && (!onlyUsage || !c.hideUsage) {
		if len(deltas) == 0 {
			deltas = append(deltas, provider.Delta{})
		}
		deltas[len(deltas)-1].Event = jsontext.Value(data)
	}
	return false, c.pass(deltas)
}

// add puts what came with a choice to what it has, and is what readers get of it: only of the first choice, whose text
// is the answer's.
func (c *chat) add(wire choiceWire, m messageWire) (deltas []provider.Delta) {
	index := wire.Index
	if c.choices == nil {
		c.choices = make(map[int]*choice)
	}
	if c.choices[index] == nil {
		c.choices[index] = new(choice)
	}
	to := c.choices[index]
	text, reasoning := m.text(), m.reasoning()
	to.text.WriteString(text)
	to.refusal.WriteString(m.Refusal)
	to.reasoning.WriteString(reasoning)
	to.logprobs = append(to.logprobs, wire.Logprobs.Content...)
	if wire.Finish != "" {
		to.finish = wire.Finish
	}
	if text+m.Refusal+reasoning != "" {
		deltas = append(deltas, provider.Delta{Text: text + m.Refusal, Reasoning: reasoning})
	}
	for _, t := range m.Tools {
		tool, arguments := to.tool(t), t.arguments()
		tool.arguments.WriteString(arguments)
		deltas = append(deltas, provider.Delta{
			Tool: &provider.ToolCall{ID: tool.id, Name: tool.name, Arguments: arguments}})
	}
	if index != 0 {
		return nil
	}
	return deltas
}

// tool is the call that a piece belongs to: the last of its index. Some servers give all calls the same index, and
// others each piece another id: a call begins where there is another id and a name.
func (c *choice) tool(t toolWire) *toolParts {
	for _, tool := range slices.Backward(c.tools) {
		if tool.index != t.Index {
			continue
		}
		if t.ID != "" && tool.id != "" && t.ID != tool.id && t.Function.Name != "" {
			break
		}
		tool.id, tool.name = cmp.Or(tool.id, t.ID), cmp.Or(tool.name, t.Function.Name)
		return tool
	}
	tool := &toolParts{index: t.Index, name: t.Function.Name,
		id: cmp.Or(t.ID, fmt.Sprintf("call_%d", len(c.tools)))} // whose answer it is has to be said
	c.tools = append(c.tools, tool)
	return tool
}

// text is a message's text, in whichever of the forms there are.
func (m messageWire) text() string {
	var text string
	switch m.Content.Kind() {
	case '"':
		_ = json.Unmarshal(m.Content, &text) // a string always is one
	case '[':
		var parts []struct {
			Text string `json:"text"`
		}
		_ = json.Unmarshal(m.Content, &parts) // what has no text adds none
		for _, p := range parts {
			text += p.Text
		}
	}
	return text
}

func (m messageWire) reasoning() string {
	text := m.ReasoningContent
	if text == "" && m.Reasoning.Kind() == '"' {
		_ = json.Unmarshal(m.Reasoning, &text) // likewise
	}
	return text
}

func (c *chat) pass(deltas []provider.Delta) error {
	if c.onDelta == nil {
		return nil
	}
	for _, d := range deltas {
		if err := c.onDelta(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *chat) Document(data []byte) error {
	var whole chunkWire
	switch {
	case json.Unmarshal(data, &whole) != nil:
		return transport.ErrMalformed
	case whole.Choices == nil:
		if f := failureIn(whole.Error, whole.Object, data); f != nil {
			return c.call.Failed(f.code(), f.Message)
		}
		return transport.ErrMalformed
	}
	c.head, c.usage, c.object, c.ended = whole, whole.Usage, jsontext.Value(data), true
	for _, wire := range whole.Choices {
		for i := range wire.Message.Tools {
			wire.Message.Tools[i].Index = i
		}
		if err := c.pass(c.add(wire, wire.Message)); err != nil {
			return err
		}
	}
	return nil
}

// Whole: some servers have no end mark, but all say why the answer's text ended.
func (c *chat) Whole() bool {
	for _, one := range c.choices {
		if one.finish == "" {
			return false
		}
	}
	return len(c.choices) > 0
}

func (c *chat) result() provider.Result {
	result := provider.Result{ID: c.head.ID, Model: c.head.Model, Usage: readUsage(c.usage, c.head.Tier), Raw: c.object,
		Finish: provider.FinishStop}
	if result.Usage != nil && !c.ended && !c.Whole() {
		result.Usage.Estimated = true // some servers tell with every piece what there is so far
	}
	if c.raw && c.object == nil {
		result.Raw = c.assemble()
	}
	first := c.choices[0]
	if first == nil {
		return result
	}
	result.Text = first.text.String() + first.refusal.String()
	for _, t := range first.tools {
		result.ToolCalls = append(result.ToolCalls,
			provider.ToolCall{ID: t.id, Name: t.name, Arguments: t.arguments.String()})
	}
	switch {
	case first.refusal.Len() > 0, first.finish == "content_filter":
		result.Finish = provider.FinishRefusal
	case first.finish == "length":
		result.Finish = provider.FinishLength
	case len(result.ToolCalls) > 0:
		result.Finish = provider.FinishTools
	}
	return result
}

// assemble is the completion that the chunks were parts of, as a call without a stream has it.
func (c *chat) assemble() jsontext.Value {
	choices := make([]any, 0, len(c.choices))
	for _, i := range slices.Sorted(maps.Keys(c.choices)) {
		choices = append(choices, c.choices[i].assemble(i))
	}
	object := map[string]any{"id": c.head.ID, "object": "chat.completion", "created": 0, "model": c.head.Model,
		"choices": choices}
	for name, value := range map[string]jsontext.Value{"usage": c.usage, "system_fingerprint": c.head.Fingerprint,
		"service_tier": c.head.Tier, "created": c.head.Created} {
		if len(value) > 0 {
			object[name] = value
		}
	}
	b, err := json.Marshal(object, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil
	}
	return b
}

func (c *choice) assemble(index int) any {
	message := map[string]any{"role": "assistant", "content": orNull(c.text.String()),
		"refusal": orNull(c.refusal.String())}
	if c.reasoning.Len() > 0 {
		message["reasoning_content"] = c.reasoning.String()
	}
	var tools []any
	for _, t := range c.tools {
		tools = append(tools, map[string]any{"id": t.id, "type": "function",
			"function": map[string]any{"name": t.name, "arguments": t.arguments.String()}})
	}
	if tools != nil {
		message["tool_calls"] = tools
	}
	choice := map[string]any{"index": index, "message": message, "finish_reason": orNull(c.finish), "logprobs": nil}
	if c.logprobs != nil {
		choice["logprobs"] = map[string]any{"content": c.logprobs, "refusal": nil}
	}
	return choice
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
