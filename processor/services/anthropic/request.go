package anthropic

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor/provider"
)

// defaultMaxTokens is asked for if a request does not say: the API wants a number.
const defaultMaxTokens = 8192

// messageParams is a request as the Messages API has it.
func messageParams(r provider.Request) (anthropic.MessageNewParams, error) {
	body := anthropic.MessageNewParams{Model: r.Model, MaxTokens: cmp.Or(r.MaxOutputTokens, defaultMaxTokens),
		StopSequences: r.Stop}
	extras := make(map[string]any, len(r.Options)+3)
	for name, value := range r.Options {
		extras[name] = json.RawMessage(value)
	}
	if r.Instructions != "" {
		body.System = append(body.System, anthropic.TextBlockParam{Text: r.Instructions})
	}
	for i, m := range r.Messages {
		if m.Role == provider.RoleSystem {
			body.System = append(body.System, anthropic.TextBlockParam{Text: textOf(m)})
			continue
		}
		message, err := messageParam(m)
		if err != nil {
			return body, err
		}
		// The outcomes of calls that were asked for together belong together.
		if last := len(body.Messages) - 1; i > 0 && m.Role == provider.RoleTool &&
			r.Messages[i-1].Role == provider.RoleTool {
			body.Messages[last].Content = append(body.Messages[last].Content, message.Content...)
			continue
		}
		body.Messages = append(body.Messages, message)
	}
	if r.Temperature != nil {
		body.Temperature = anthropic.Float(*r.Temperature)
	}
	if r.TopP != nil {
		body.TopP = anthropic.Float(*r.TopP)
	}
	if r.User != "" {
		body.Metadata.UserID = anthropic.String(r.User)
	}
	if r.PromptCacheKey != "" {
		// There are no keys: what begins alike is found, if caching is asked for.
		body.CacheControl = anthropic.NewCacheControlEphemeralParam()
	}
	if r.Schema != nil {
		extras["output_config"] = map[string]any{
			"format": map[string]any{"type": "json_schema", "schema": json.RawMessage(r.Schema.Schema)}}
	}
	var err error
	if len(r.Tools) > 0 {
		if extras["tools"], err = tools(r.Tools); err != nil {
			return body, err
		}
	}
	if len(r.ToolChoice) > 0 {
		if extras["tool_choice"], err = toolChoice(r.ToolChoice); err != nil {
			return body, err
		}
	}
	body.SetExtraFields(extras)
	return body, nil
}

func messageParam(m provider.Message) (anthropic.MessageParam, error) {
	if m.Role == provider.RoleTool {
		return anthropic.NewUserMessage(anthropic.NewToolResultBlock(m.ToolCallID, textOf(m), false)), nil
	}
	var blocks []anthropic.ContentBlockParamUnion
	for _, part := range m.Parts {
		switch {
		case part.Base64 != "":
			blocks = append(blocks, anthropic.NewImageBlockBase64(part.MIME, part.Base64))
		case part.ImageURL != "":
			blocks = append(blocks, anthropic.NewImageBlock(anthropic.URLImageSourceParam{URL: part.ImageURL}))
		case part.Text != "": // an empty one is refused
			blocks = append(blocks, anthropic.NewTextBlock(part.Text))
		}
	}
	for _, call := range m.ToolCalls {
		arguments := json.RawMessage(cmp.Or(call.Arguments, "{}"))
		if !json.Valid(arguments) {
			return anthropic.MessageParam{}, fmt.Errorf("the arguments of the call of %.80q are not JSON", call.Name)
		}
		blocks = append(blocks, anthropic.NewToolUseBlock(call.ID, arguments, call.Name))
	}
	if m.Role == provider.RoleAssistant {
		return anthropic.NewAssistantMessage(blocks...), nil
	}
	return anthropic.NewUserMessage(blocks...), nil
}

func textOf(m provider.Message) string {
	var text strings.Builder
	for _, part := range m.Parts {
		text.WriteString(part.Text)
	}
	return text.String()
}

// functionWire is a function as OpenAI's two APIs describe it: at once, or one level lower.
type functionWire struct {
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Parameters  jsontext.Value `json:"parameters"`
	Function    *functionWire  `json:"function"`
}

// tools translates functions. What is no function is Anthropic's own and stays as it is.
func tools(list jsontext.Value) ([]any, error) {
	var raw []jsontext.Value
	if err := jsonv2.Unmarshal(list, &raw); err != nil {
		return nil, fmt.Errorf("tools must be a list of objects")
	}
	all := make([]any, 0, len(raw))
	for i, one := range raw {
		var f functionWire
		if err := jsonv2.Unmarshal(one, &f); err != nil {
			return nil, fmt.Errorf("tool %d cannot be read", i)
		}
		if f.Type != "function" {
			all = append(all, json.RawMessage(one))
			continue
		}
		if f.Function != nil {
			f = *f.Function
		}
		if len(f.Parameters) == 0 {
			f.Parameters = jsontext.Value(`{"type":"object","properties":{}}`)
		}
		translated := map[string]any{"name": f.Name, "input_schema": json.RawMessage(f.Parameters)}
		if f.Description != "" {
			translated["description"] = f.Description
		}
		all = append(all, translated)
	}
	return all, nil
}

func toolChoice(choice jsontext.Value) (any, error) {
	var word string
	if jsonv2.Unmarshal(choice, &word) == nil {
		translated, ok := map[string]string{"auto": "auto", "none": "none", "required": "any", "any": "any"}[word]
		if !ok {
			return nil, fmt.Errorf("tool_choice %.40q is none of auto, none, required", word)
		}
		return map[string]any{"type": translated}, nil
	}
	var f functionWire
	if err := jsonv2.Unmarshal(choice, &f); err != nil {
		return nil, fmt.Errorf("tool_choice must be a word or an object")
	}
	if f.Type != "function" {
		return json.RawMessage(choice), nil
	}
	if f.Function != nil {
		f.Name = f.Function.Name
	}
	return map[string]any{"type": "tool", "name": f.Name}, nil
}
