package openai

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// Complete asks by Responses, or by Chat Completions as the options say.
func (p *Provider) Complete(ctx context.Context, r provider.Request,
	onDelta func(provider.Delta) error) (provider.Result, error) {
	// Responses has no stop sequences.
	if p.api == Chat || p.chatOnly.Load() || p.api == Auto && len(r.Stop) > 0 {
		return p.completeByChat(ctx, r, onDelta)
	}
	result, err := p.completeByResponses(ctx, r, onDelta)
	if p.api != Auto || !transport.Lacks(err) {
		return result, err
	}
	// It may be the model that is not found. Then Chat Completions says the same, and nothing has been learned.
	byChat, chatErr := p.completeByChat(ctx, r, onDelta)
	if transport.Lacks(chatErr) {
		return result, err
	}
	if chatErr == nil {
		p.chatOnly.Store(true)
	}
	return byChat, chatErr
}

func (p *Provider) completeByResponses(ctx context.Context, r provider.Request,
	onDelta func(provider.Delta) error) (provider.Result, error) {
	if len(r.Stop) > 0 {
		return provider.Result{}, p.badRequest("stop sequences need the Chat Completions API; set api: chat_completions, " +
			"or leave api out")
	}
	body := responses.ResponseNewParams{Model: r.Model}
	body.SetExtraFields(extras(r))
	if r.Instructions != "" {
		body.Instructions = openai.String(r.Instructions)
	}
	items := make(responses.ResponseInputParam, 0, len(r.Messages))
	for _, m := range r.Messages {
		items = append(items, inputItems(m)...)
	}
	body.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: items}
	if r.MaxOutputTokens > 0 {
		body.MaxOutputTokens = openai.Int(r.MaxOutputTokens)
	}
	if r.Temperature != nil {
		body.Temperature = openai.Float(*r.Temperature)
	}
	if r.TopP != nil {
		body.TopP = openai.Float(*r.TopP)
	}
	if r.PromptCacheKey != "" {
		body.PromptCacheKey = openai.String(identifier(r.PromptCacheKey))
	}
	if r.User != "" {
		body.SafetyIdentifier = openai.String(identifier(r.User))
	}
	if r.Schema != nil {
		format := &responses.ResponseFormatTextJSONSchemaConfigParam{Name: r.Schema.Name,
			Strict: openai.Bool(r.Schema.Strict)}
		format.SetExtraFields(map[string]any{"schema": json.RawMessage(r.Schema.Schema)})
		body.Text.Format.OfJSONSchema = format
	}
	return p.ask(ctx, question{"responses", body, streamed(r)}, func(call *transport.Call) answer {
		return &response{call: call, onDelta: onDelta}
	})
}

// maxIdentifier is the longest that OpenAI takes.
const maxIdentifier = 64

// identifier is a name that only has to be the same every time, its hash if it is too long.
func identifier(name string) string {
	if len(name) <= maxIdentifier {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func streamed(r provider.Request) []option.RequestOption {
	if !r.Stream {
		return nil
	}
	return []option.RequestOption{option.WithJSONSet("stream", true)}
}

// extras are members that are passed on as they are.
func extras(r provider.Request) map[string]any {
	all := rawMembers(r.Options)
	if len(r.Tools) > 0 {
		all["tools"] = json.RawMessage(r.Tools)
	}
	if len(r.ToolChoice) > 0 {
		all["tool_choice"] = json.RawMessage(r.ToolChoice)
	}
	return all
}

// inputItems are a message as Responses has it: calls and their outcomes stand beside what was said.
func inputItems(m provider.Message) (items []responses.ResponseInputItemUnionParam) {
	if m.Role == provider.RoleTool {
		item := responses.ResponseInputItemParamOfFunctionCallOutput(textOf(m))
		item.OfFunctionCallOutput.CallID = openai.String(m.ToolCallID)
		return append(items, item)
	}
	if len(m.Parts) > 0 {
		item := responses.EasyInputMessageParam{Role: responses.EasyInputMessageRole(m.Role)}
		if onlyText(m) {
			item.Content.OfString = openai.String(textOf(m))
		} else {
			for _, part := range m.Parts {
				item.Content.OfInputItemContentList = append(item.Content.OfInputItemContentList, inputContent(part))
			}
		}
		items = append(items, responses.ResponseInputItemUnionParam{OfMessage: &item})
	}
	for _, call := range m.ToolCalls {
		items = append(items, responses.ResponseInputItemParamOfFunctionCall(call.Arguments, call.ID, call.Name))
	}
	return items
}

func inputContent(part provider.Part) responses.ResponseInputContentUnionParam {
	if !part.Image() {
		return responses.ResponseInputContentParamOfInputText(part.Text)
	}
	image := responses.ResponseInputContentParamOfInputImage(responses.ResponseInputImageDetailAuto)
	image.OfInputImage.ImageURL = openai.String(part.URL())
	return image
}

func onlyText(m provider.Message) bool { return !slices.ContainsFunc(m.Parts, provider.Part.Image) }

func textOf(m provider.Message) string {
	var text strings.Builder
	for _, part := range m.Parts {
		text.WriteString(part.Text)
	}
	return text.String()
}

func (p *Provider) completeByChat(ctx context.Context, r provider.Request,
	onDelta func(provider.Delta) error) (provider.Result, error) {
	body := openai.ChatCompletionNewParams{Model: r.Model}
	body.SetExtraFields(extras(r))
	if r.Instructions != "" {
		body.Messages = append(body.Messages, openai.SystemMessage(r.Instructions))
	}
	for _, m := range r.Messages {
		body.Messages = append(body.Messages, chatMessage(m))
	}
	if r.MaxOutputTokens > 0 {
		if p.compatible { // many of them know the older name only, OpenAI's newer models the newer one
			body.MaxTokens = openai.Int(r.MaxOutputTokens)
		} else {
			body.MaxCompletionTokens = openai.Int(r.MaxOutputTokens)
		}
	}
	if r.Temperature != nil {
		body.Temperature = openai.Float(*r.Temperature)
	}
	if r.TopP != nil {
		body.TopP = openai.Float(*r.TopP)
	}
	if len(r.Stop) > 0 {
		body.Stop.OfStringArray = r.Stop
	}
	if r.PromptCacheKey != "" {
		body.PromptCacheKey = openai.String(identifier(r.PromptCacheKey))
	}
	if r.User != "" {
		body.User = openai.String(identifier(r.User))
	}
	if r.Schema != nil {
		body.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: r.Schema.Name,
				Schema: json.RawMessage(r.Schema.Schema), Strict: openai.Bool(r.Schema.Strict)}}
	}
	if r.Stream {
		body.StreamOptions.IncludeUsage = openai.Bool(true)
	}
	return p.ask(ctx, question{"chat/completions", body, streamed(r)}, func(call *transport.Call) answer {
		return &chat{call: call, onDelta: onDelta}
	})
}

func chatMessage(m provider.Message) openai.ChatCompletionMessageParamUnion {
	switch m.Role {
	case provider.RoleSystem:
		return openai.SystemMessage(textOf(m))
	case provider.RoleTool:
		return openai.ToolMessage(textOf(m), m.ToolCallID)
	case provider.RoleAssistant:
		message := openai.ChatCompletionAssistantMessageParam{}
		if len(m.Parts) > 0 {
			message.Content.OfString = openai.String(textOf(m))
		}
		for _, call := range m.ToolCalls {
			message.ToolCalls = append(message.ToolCalls, openai.ChatCompletionMessageToolCallUnionParam{
				OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{ID: call.ID,
					Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{
						Name: call.Name, Arguments: call.Arguments}}})
		}
		return openai.ChatCompletionMessageParamUnion{OfAssistant: &message}
	}
	if onlyText(m) {
		return openai.UserMessage(textOf(m))
	}
	parts := make([]openai.ChatCompletionContentPartUnionParam, 0, len(m.Parts))
	for _, part := range m.Parts {
		if part.Image() {
			parts = append(parts, openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: part.URL()}))
		} else {
			parts = append(parts, openai.TextContentPart(part.Text))
		}
	}
	return openai.UserMessage(parts)
}
