package openai

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// response is an answer of the Responses API.
type response struct {
	call    *transport.Call
	onDelta func(provider.Delta) error
	raw     bool // the events are passed on

	text    strings.Builder
	refused bool
	tools   map[int]*provider.ToolCall // by their place in the output
	final   responseWire
	object  jsontext.Value // the final one as it came
}

// responseEvent is of an event what is needed while it streams; one is read for every token.
type responseEvent struct {
	Type     string         `json:"type"`
	Delta    jsontext.Value `json:"delta"`
	Index    int            `json:"output_index"`
	Item     jsontext.Value `json:"item"`
	Response jsontext.Value `json:"response"`
	// Of an error, which some put one level lower.
	Code    jsontext.Value `json:"code"`
	Message string         `json:"message"`
	Error   jsontext.Value `json:"error"`
}

// responseWire is of a response what goes into a result.
type responseWire struct {
	Object     string           `json:"object"`
	ID         string           `json:"id"`
	Model      string           `json:"model"`
	Status     string           `json:"status"`
	Output     []jsontext.Value `json:"output"`
	Usage      jsontext.Value   `json:"usage"`
	Tier       jsontext.Value   `json:"service_tier"`
	Error      *failureWire     `json:"error"`
	Incomplete struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
}

// itemWire is an item of the output.
type itemWire struct {
	Type    string `json:"type"`
	Content []struct {
		Type    string `json:"type"`
		Text    string `json:"text"`
		Refusal string `json:"refusal"`
	} `json:"content"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

func (r *response) Event(data []byte) (last bool, err error) {
	var e responseEvent
	if json.Unmarshal(data, &e) != nil {
		return false, transport.ErrMalformed
	}
	if e.Type == "error" || e.Error.Kind() == '{' || e.Error.Kind() == '"' {
		return true, r.failed(e)
	}
	switch e.Type {
	case "response.failed":
		if err := r.take(e.Response); err != nil {
			return true, err
		}
		return true, r.failure()
	case "response.completed", "response.incomplete":
		if err := r.take(e.Response); err != nil {
			return true, err
		}
		return true, r.pass(provider.Delta{}, data)
	case "response.created":
		_ = json.Unmarshal(e.Response, &r.final) // the id and the model, for a stream that is cut
	}
	delta, err := r.delta(e)
	if err != nil {
		return false, err
	}
	return false, r.pass(delta, data)
}

// delta is what an event adds for readers.
func (r *response) delta(e responseEvent) (d provider.Delta, err error) {
	var piece string
	if strings.HasSuffix(e.Type, ".delta") && e.Delta.Kind() == '"' && json.Unmarshal(e.Delta, &piece) != nil {
		return d, transport.ErrMalformed
	}
	switch e.Type {
	case "response.output_text.delta":
		r.text.WriteString(piece)
		d.Text = piece
	case "response.refusal.delta":
		r.text.WriteString(piece)
		d.Text, r.refused = piece, true
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		d.Reasoning = piece
	case "response.output_item.added":
		var item itemWire
		if json.Unmarshal(e.Item, &item) == nil && item.Type == "function_call" {
			if r.tools == nil {
				r.tools = make(map[int]*provider.ToolCall)
			}
			r.tools[e.Index] = &provider.ToolCall{ID: item.CallID, Name: item.Name}
		}
	case "response.function_call_arguments.delta":
		if tool := r.tools[e.Index]; tool != nil {
			d.Tool = &provider.ToolCall{ID: tool.ID, Name: tool.Name, Arguments: piece}
		}
	}
	return d, nil
}

// pass gives readers what an event adds, and the event itself if they want that.
func (r *response) pass(d provider.Delta, data []byte) error {
	if r.raw {
		d.Event = jsontext.Value(data)
	}
	if r.onDelta == nil || d.Text == "" && d.Reasoning == "" && d.Tool == nil && d.Event == nil {
		return nil
	}
	return r.onDelta(d)
}

// take is the response at its end.
func (r *response) take(object jsontext.Value) error {
	var final responseWire
	if json.Unmarshal(object, &final) != nil {
		return transport.ErrMalformed
	}
	r.final, r.object = final, object
	return nil
}

func (r *response) Document(data []byte) error {
	if err := r.take(data); err != nil {
		return err
	}
	if f := failureIn(r.final.Error, r.final.Object, data); f != nil {
		return r.call.Failed(f.code(), f.Message)
	}
	if r.final.Status == "failed" {
		return r.failure()
	}
	if r.final.Status == "" && r.final.Output == nil {
		return transport.ErrMalformed
	}
	return nil
}

// Whole is false: every stream has an end mark, which repeats the answer.
func (r *response) Whole() bool { return false }

// failure is what the response says of why it failed.
func (r *response) failure() error {
	if r.final.Error == nil {
		return r.call.Failed("", "the response failed without a reason")
	}
	return r.call.Failed(r.final.Error.code(), r.final.Error.Message)
}

func (r *response) failed(e responseEvent) error {
	f := failureWire{Code: e.Code, Message: e.Message}
	_ = json.Unmarshal(e.Error, &f) // what is left out stays
	return r.call.Failed(f.code(), f.Message)
}

func (r *response) result() provider.Result {
	result := provider.Result{ID: r.final.ID, Model: r.final.Model, Text: r.text.String(), Raw: r.object,
		Usage: readUsage(r.final.Usage, r.final.Tier), Finish: provider.FinishStop}
	var text strings.Builder
	for _, raw := range r.final.Output {
		var item itemWire
		if json.Unmarshal(raw, &item) != nil {
			continue
		}
		for _, content := range item.Content {
			text.WriteString(content.Text + content.Refusal)
			r.refused = r.refused || content.Type == "refusal"
		}
		if item.Type == "function_call" {
			result.ToolCalls = append(result.ToolCalls,
				provider.ToolCall{ID: item.CallID, Name: item.Name, Arguments: item.Arguments})
			result.Finish = provider.FinishTools
		}
	}
	if len(r.final.Output) > 0 {
		result.Text = text.String()
	}
	switch {
	case r.refused, r.final.Incomplete.Reason == "content_filter":
		result.Finish = provider.FinishRefusal
	case r.final.Status == "incomplete":
		result.Finish = provider.FinishLength
	}
	return result
}
