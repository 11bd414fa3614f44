package anthropic

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// message is an answer, put together from the events of its stream or from one document.
type message struct {
	call    *transport.Call
	onDelta func(provider.Delta) error

	head      messageWire
	text      strings.Builder
	reasoning int // bytes that came of it
	tools     map[int]*tool
	stop      string
	ended     bool
	usage     usageWire
	raw       jsontext.Value
}

type tool struct {
	id, name  string
	arguments strings.Builder
}

// messageWire is a message, or what its stream begins with.
type messageWire struct {
	ID      string      `json:"id"`
	Type    string      `json:"type"`
	Model   string      `json:"model"`
	Content []blockWire `json:"content"`
	Stop    string      `json:"stop_reason"`
	Usage   usageWire   `json:"usage"`
	Error   errorWire   `json:"error"`
}

type blockWire struct {
	Type     string         `json:"type"`
	Text     string         `json:"text"`
	Thinking string         `json:"thinking"`
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Input    jsontext.Value `json:"input"`
}

type errorWire struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// eventWire is an event of a stream.
type eventWire struct {
	Type    string      `json:"type"`
	Index   int         `json:"index"`
	Message messageWire `json:"message"`
	Block   blockWire   `json:"content_block"`
	Delta   struct {
		Text     string `json:"text"`
		Thinking string `json:"thinking"`
		JSON     string `json:"partial_json"`
		Stop     string `json:"stop_reason"`
	} `json:"delta"`
	Usage usageWire `json:"usage"`
	Error errorWire `json:"error"`
}

func (m *message) Event(data []byte) (last bool, err error) {
	var e eventWire
	if json.Unmarshal(data, &e) != nil {
		return false, transport.ErrMalformed
	}
	switch e.Type {
	case "error":
		return true, m.call.Failed(e.Error.Type, e.Error.Message)
	case "message_start":
		m.head, m.usage = e.Message, e.Message.Usage
	case "content_block_start":
		return false, m.begin(e.Index, e.Block)
	case "content_block_delta":
		return false, m.pass(m.add(e.Index, e.Delta.Text, e.Delta.Thinking, e.Delta.JSON))
	case "message_delta":
		m.stop = cmp.Or(e.Delta.Stop, m.stop)
		m.usage.update(e.Usage)
	case "message_stop":
		m.ended = true
		return true, nil
	}
	return false, nil
}

// begin takes a block's start; what text it has already is a piece as any other.
func (m *message) begin(index int, b blockWire) error {
	if b.Type == "tool_use" {
		if m.tools == nil {
			m.tools = make(map[int]*tool)
		}
		m.tools[index] = &tool{id: b.ID, name: b.Name}
	}
	return m.pass(m.add(index, b.Text, b.Thinking, ""))
}

func (m *message) add(index int, text, thinking, arguments string) provider.Delta {
	m.text.WriteString(text)
	m.reasoning += len(thinking)
	d := provider.Delta{Text: text, Reasoning: thinking}
	if t := m.tools[index]; t != nil && arguments != "" {
		t.arguments.WriteString(arguments)
		d.Tool = &provider.ToolCall{ID: t.id, Name: t.name, Arguments: arguments}
	}
	return d
}

func (m *message) pass(d provider.Delta) error {
	if m.onDelta == nil || d.Text == "" && d.Reasoning == "" && d.Tool == nil {
		return nil
	}
	return m.onDelta(d)
}

func (m *message) Document(data []byte) error {
	var whole messageWire
	switch {
	case json.Unmarshal(data, &whole) != nil:
		return transport.ErrMalformed
	case whole.Type == "error":
		return m.call.Failed(whole.Error.Type, whole.Error.Message)
	case whole.Content == nil && whole.Stop == "":
		return transport.ErrMalformed
	}
	m.head, m.usage, m.stop, m.raw, m.ended = whole, whole.Usage, whole.Stop, data, true
	for i, b := range whole.Content {
		if err := m.begin(i, b); err != nil {
			return err
		}
		if t := m.tools[i]; t != nil {
			t.arguments.Write(b.Input)
		}
	}
	return nil
}

// Whole is false: every stream has an end mark.
func (m *message) Whole() bool { return false }

func (m *message) result() provider.Result {
	result := provider.Result{ID: m.head.ID, Model: m.head.Model, Text: m.text.String(), Raw: m.raw,
		Finish: provider.FinishStop}
	received := m.text.Len() + m.reasoning
	for _, i := range slices.Sorted(maps.Keys(m.tools)) {
		t := m.tools[i]
		received += t.arguments.Len()
		arguments := t.arguments.String()
		if arguments == "" {
			arguments = "{}" // how a call without arguments is streamed
		}
		result.ToolCalls = append(result.ToolCalls, provider.ToolCall{ID: t.id, Name: t.name, Arguments: arguments})
	}
	switch m.stop {
	case "max_tokens", "model_context_window_exceeded", "pause_turn": // there would be more
		result.Finish = provider.FinishLength
	case "refusal":
		result.Finish = provider.FinishRefusal
	case "tool_use":
		result.Finish = provider.FinishTools
	}
	result.Usage = m.usage.normal(m.ended, received)
	return result
}
