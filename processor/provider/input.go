package provider

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// input is what a task says of a request, in its input_data or, for what is about how to ask, in its context. The names
// are those of the OpenAI API, of both its forms.
type input struct {
	Model        string         `json:"model"`
	Prompt       string         `json:"prompt"`
	Messages     jsontext.Value `json:"messages"`
	Input        jsontext.Value `json:"input"`
	Instructions string         `json:"instructions"`
	System       string         `json:"system"`

	Tools      jsontext.Value `json:"tools"`
	ToolChoice jsontext.Value `json:"tool_choice"`

	MaxOutputTokens     int64          `json:"max_output_tokens"`
	MaxTokens           int64          `json:"max_tokens"`
	MaxCompletionTokens int64          `json:"max_completion_tokens"`
	Temperature         *float64       `json:"temperature"`
	TopP                *float64       `json:"top_p"`
	Stop                jsontext.Value `json:"stop"`

	// Schema is the JSON Schema of the answer; ResponseFormat and Text say the same as OpenAI's APIs do.
	Schema         jsontext.Value  `json:"schema"`
	ResponseFormat *responseFormat `json:"response_format"`
	Text           jsontext.Value  `json:"text"`

	PromptCacheKey string                    `json:"prompt_cache_key"`
	Options        map[string]jsontext.Value `json:"options"`
	Cache          *CachePolicy              `json:"cache"`

	// Of embed and image.
	Dimensions int64          `json:"dimensions"`
	N          int64          `json:"n"`
	Size       string         `json:"size"`
	Images     jsontext.Value `json:"images"`
}

// CachePolicy asks for an answer from the cache, or to be kept there: a task's `cache`.
type CachePolicy struct {
	TTLMS int64 `json:"ttl_ms"`
}

type responseFormat struct {
	Type       string         `json:"type"`
	Name       string         `json:"name"`
	Schema     jsontext.Value `json:"schema"`
	Strict     *bool          `json:"strict"`
	JSONSchema *struct {
		Name   string         `json:"name"`
		Schema jsontext.Value `json:"schema"`
		Strict *bool          `json:"strict"`
	} `json:"json_schema"`
}

// readInput reads a task's context and, over it, its input_data.
func readInput(c *processor.Context) (*input, error) {
	in := new(input)
	if err := c.Options(in); err != nil {
		return nil, err
	}
	return in, c.Input(in)
}

// readInstruction reads a task whose name is the instruction. Its input_data may be anything: where that has no prompt
// and no messages in the forms that are known, all of it is the prompt.
func readInstruction(c *processor.Context) (*input, error) {
	if in, err := readInput(c); err == nil && (in.Prompt != "" || len(in.Messages) > 0) {
		return in, nil
	}
	in := new(input)
	if err := c.Options(in); err != nil {
		return nil, err
	}
	in.Prompt = string(c.Task().InputData)
	return in, nil
}

// request is what the input asks a model to complete.
func (in *input) request(t *schemas.Task) (Request, error) {
	r := Request{
		Model: in.Model, Instructions: cmp.Or(in.Instructions, in.System), Tools: in.Tools, ToolChoice: in.ToolChoice,
		MaxOutputTokens: cmp.Or(in.MaxOutputTokens, in.MaxCompletionTokens, in.MaxTokens), Temperature: in.Temperature,
		TopP: in.TopP, PromptCacheKey: in.PromptCacheKey, User: t.UserID, Options: in.Options, Stream: true,
	}
	var err error
	if r.Stop, err = texts("stop", in.Stop); err != nil {
		return r, err
	}
	for _, part := range []struct {
		member string
		value  jsontext.Value
	}{{"messages", in.Messages}, {"input", in.Input}} {
		if r.Messages, err = appendMessages(r.Messages, part.member, part.value); err != nil {
			return r, err
		}
	}
	if in.Prompt != "" {
		r.Messages = append(r.Messages, Message{Role: RoleUser, Parts: []Part{{Text: in.Prompt}}})
	}
	if err := addImages(&r, in.Images); err != nil {
		return r, err
	}
	r.Schema = in.schema()
	if r.MaxOutputTokens < 0 {
		return r, processor.Invalid("max_output_tokens", "must not be negative")
	}
	return r, nil
}

// schema is the form that is asked for, nil for text.
func (in *input) schema() *Schema {
	if len(in.Schema) > 0 {
		return &Schema{Name: "answer", Schema: in.Schema, Strict: true}
	}
	format := in.ResponseFormat
	if format == nil && in.Text.Kind() == '{' {
		var text struct {
			Format *responseFormat `json:"format"`
		}
		if json.Unmarshal(in.Text, &text) == nil {
			format = text.Format
		}
	}
	switch {
	case format == nil || format.Type != "json_schema":
		return nil
	case format.JSONSchema != nil:
		f := format.JSONSchema
		return &Schema{Name: cmp.Or(f.Name, "answer"), Schema: f.Schema, Strict: f.Strict == nil || *f.Strict}
	}
	return &Schema{Name: cmp.Or(format.Name, "answer"), Schema: format.Schema,
		Strict: format.Strict == nil || *format.Strict}
}

// texts is a text or a list of them.
func texts(member string, v jsontext.Value) (list []string, err error) {
	switch v.Kind() {
	case 0, 'n':
		return nil, nil
	case '"':
		var one string
		err = json.Unmarshal(v, &one)
		list = []string{one}
	default:
		err = json.Unmarshal(v, &list)
	}
	if err != nil {
		return nil, processor.Invalid(member, "must be a text or a list of texts")
	}
	return list, nil
}

// messageWire is a message, or an item of the Responses API's input.
type messageWire struct {
	Type       string         `json:"type"`
	Role       string         `json:"role"`
	Content    jsontext.Value `json:"content"`
	ToolCallID string         `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string `json:"id"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
	// Of items function_call and function_call_output.
	CallID    string         `json:"call_id"`
	Name      string         `json:"name"`
	Arguments string         `json:"arguments"`
	Output    jsontext.Value `json:"output"`
}

// appendMessages reads a text, or a list of messages or items.
func appendMessages(to []Message, member string, v jsontext.Value) ([]Message, error) {
	var wires []messageWire
	switch v.Kind() {
	case 0, 'n':
		return to, nil
	case '"':
		wires = []messageWire{{Role: RoleUser, Content: v}}
	default:
		if err := json.Unmarshal(v, &wires); err != nil {
			return nil, processor.Invalid(member, "must be a text, or a list of messages {role, content}")
		}
	}
	for i := range wires {
		m, err := wires[i].message(fmt.Sprintf("%s[%d]", member, i))
		if err != nil {
			return nil, err
		}
		to = append(to, m)
	}
	return to, nil
}

func (w *messageWire) message(at string) (m Message, err error) {
	switch w.Type {
	case "function_call":
		return Message{Role: RoleAssistant, ToolCalls: []ToolCall{{w.CallID, w.Name, w.Arguments}}}, nil
	case "function_call_output":
		m = Message{Role: RoleTool, ToolCallID: w.CallID}
		m.Parts, err = readParts(at+".output", w.Output)
		return m, err
	case "", "message":
	default:
		return m, processor.Invalid(at+".type", fmt.Sprintf("%.40q is not known; there are message, function_call, "+
			"function_call_output", w.Type))
	}
	m = Message{Role: w.Role, ToolCallID: w.ToolCallID}
	switch w.Role {
	case RoleUser, RoleAssistant, RoleSystem, RoleTool:
	case "developer":
		m.Role = RoleSystem
	default:
		return m, processor.Invalid(at+".role",
			fmt.Sprintf("%.40q is none of system, developer, user, assistant, tool", w.Role))
	}
	for _, call := range w.ToolCalls {
		m.ToolCalls = append(m.ToolCalls, ToolCall{call.ID, call.Function.Name, call.Function.Arguments})
	}
	m.Parts, err = readParts(at+".content", w.Content)
	return m, err
}

// partWire is a part of a message, as both APIs have it.
type partWire struct {
	Type     string         `json:"type"`
	Text     string         `json:"text"`
	Refusal  string         `json:"refusal"`
	ImageURL jsontext.Value `json:"image_url"`
	Base64   string         `json:"base64"`
	MIME     string         `json:"mime"`
	Artifact string         `json:"artifact"`
}

func readParts(at string, v jsontext.Value) ([]Part, error) {
	var wires []partWire
	switch v.Kind() {
	case 0, 'n':
		return nil, nil
	case '"':
		var text string
		if err := json.Unmarshal(v, &text); err != nil {
			return nil, processor.Invalid(at, "is no text")
		}
		return []Part{{Text: text}}, nil
	default:
		if err := json.Unmarshal(v, &wires); err != nil {
			return nil, processor.Invalid(at, "must be a text, or a list of parts {type, text} and {type, image_url}")
		}
	}
	var parts []Part
	for i, w := range wires {
		part, err := w.part(fmt.Sprintf("%s[%d]", at, i))
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func (w *partWire) part(at string) (Part, error) {
	if w.Artifact != "" { // its type is the file's
		return Part{Artifact: w.Artifact}, nil
	}
	switch w.Type {
	case "text", "input_text", "output_text":
		return Part{Text: w.Text}, nil
	case "refusal":
		return Part{Text: w.Refusal}, nil
	case "image_url", "input_image", "image":
		if w.Base64 != "" {
			return Part{Base64: w.Base64, MIME: cmp.Or(w.MIME, "image/png")}, nil
		}
		var url string
		var object struct {
			URL string `json:"url"`
		}
		if json.Unmarshal(w.ImageURL, &url) != nil {
			if json.Unmarshal(w.ImageURL, &object) != nil || object.URL == "" {
				return Part{}, processor.Invalid(at+".image_url", "must be an address, or {url}")
			}
			url = object.URL
		}
		return imagePart(url), nil
	}
	return Part{}, processor.Invalid(at+".type",
		fmt.Sprintf("%.40q is none of text, image_url; a file is {artifact: HASH}", w.Type))
}

// imagePart takes the bytes out of a data URL.
func imagePart(url string) Part {
	if rest, ok := strings.CutPrefix(url, "data:"); ok {
		if mime, data, ok := strings.Cut(rest, ";base64,"); ok {
			return Part{MIME: mime, Base64: data}
		}
	}
	return Part{ImageURL: url}
}

// addImages puts images beside the last message of the user.
func addImages(r *Request, v jsontext.Value) error {
	images, err := readImages(v)
	if err != nil || len(images) == 0 {
		return err
	}
	last := len(r.Messages) - 1
	if last < 0 || r.Messages[last].Role != RoleUser {
		r.Messages = append(r.Messages, Message{Role: RoleUser})
		last++
	}
	r.Messages[last].Parts = append(r.Messages[last].Parts, images...)
	return nil
}

// readImages reads addresses, data URLs and {artifact: HASH}: one, or a list of them.
func readImages(v jsontext.Value) (images []Part, err error) {
	list := []jsontext.Value{v}
	switch v.Kind() {
	case 0, 'n':
		return nil, nil
	case '[':
		if err := json.Unmarshal(v, &list); err != nil {
			return nil, processor.Invalid("images", "is no list")
		}
	}
	for _, one := range list {
		var url string
		var file schemas.Artifact
		switch {
		case json.Unmarshal(one, &url) == nil:
			images = append(images, imagePart(url))
		case json.Unmarshal(one, &file) == nil && file.Hash != "":
			images = append(images, Part{Artifact: file.Hash})
		default:
			return nil, processor.Invalid("images", "must be addresses, or files {artifact: HASH}: one, or a list of them")
		}
	}
	return images, nil
}
