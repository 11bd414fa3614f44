package vertex

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"net/url"
	"path"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/genai"

	"github.com/aiecs/tasklane/processor/provider"
)

// contentsOf is a request as Vertex has it.
func contentsOf(r provider.Request) ([]*genai.Content, *genai.GenerateContentConfig, error) {
	if r.MaxOutputTokens > math.MaxInt32 {
		return nil, nil, fmt.Errorf("max_output_tokens must be at most %d", math.MaxInt32)
	}
	config := &genai.GenerateContentConfig{
		MaxOutputTokens: int32(r.MaxOutputTokens), StopSequences: r.Stop,
		Temperature: small(r.Temperature), TopP: small(r.TopP),
		AutomaticContinuation: new(bool), // one request is one request
	}
	var system []*genai.Part
	if r.Instructions != "" {
		system = append(system, genai.NewPartFromText(r.Instructions))
	}
	var contents []*genai.Content
	names := make(map[string]string) // of the calls so far, by id
	for i, m := range r.Messages {
		parts, err := partsOf(m, names)
		if err != nil {
			return nil, nil, fmt.Errorf("message %d: %w", i, err)
		}
		switch m.Role {
		case provider.RoleSystem:
			system = append(system, parts...)
		case provider.RoleAssistant:
			contents = append(contents, &genai.Content{Role: genai.RoleModel, Parts: parts})
		case provider.RoleTool:
			// The outcomes of calls that were asked for together have to be in one content.
			if i > 0 && r.Messages[i-1].Role == provider.RoleTool {
				last := contents[len(contents)-1]
				last.Parts = append(last.Parts, parts...)
				continue
			}
			contents = append(contents, &genai.Content{Role: genai.RoleUser, Parts: parts})
		default:
			contents = append(contents, &genai.Content{Role: genai.RoleUser, Parts: parts})
		}
	}
	if len(system) > 0 {
		config.SystemInstruction = &genai.Content{Role: genai.RoleUser, Parts: system}
	}
	if r.Schema != nil {
		config.ResponseMIMEType, config.ResponseJsonSchema = "application/json", json.RawMessage(r.Schema.Schema)
	}
	if strings.Contains(r.PromptCacheKey, "cachedContents/") {
		config.CachedContent = r.PromptCacheKey // others are found by how they begin
	}
	options, err := optionsOf(r.Options)
	if err != nil {
		return nil, nil, err
	}
	config.HTTPOptions = options
	if err := addTools(config, r); err != nil {
		return nil, nil, err
	}
	return contents, config, nil
}

func small(f *float64) *float32 {
	if f == nil {
		return nil
	}
	s := float32(*f)
	return &s
}

// optionsOf puts members into the body as they are.
func optionsOf(options map[string]jsontext.Value) (*genai.HTTPOptions, error) {
	if len(options) == 0 {
		return nil, nil
	}
	extra := make(map[string]any, len(options))
	for name, raw := range options {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, fmt.Errorf("options.%s cannot be read", name)
		}
		extra[name] = value
	}
	return &genai.HTTPOptions{ExtraBody: extra}, nil
}

func partsOf(m provider.Message, names map[string]string) (parts []*genai.Part, err error) {
	if m.Role == provider.RoleTool {
		var text strings.Builder
		for _, part := range m.Parts {
			text.WriteString(part.Text)
		}
		response := make(map[string]any)
		if json.Unmarshal([]byte(text.String()), &response) != nil || response == nil {
			response = map[string]any{"output": text.String()}
		}
		return []*genai.Part{genai.NewPartFromFunctionResponse(cmp.Or(names[m.ToolCallID], m.ToolCallID), response)}, nil
	}
	for _, part := range m.Parts {
		switch {
		case part.Base64 != "":
			b, err := base64.StdEncoding.DecodeString(part.Base64)
			if err != nil {
				return nil, fmt.Errorf("an image is not in base64")
			}
			parts = append(parts, genai.NewPartFromBytes(b, part.MIME))
		case part.ImageURL != "":
			parts = append(parts, genai.NewPartFromURI(part.ImageURL, mimeOf(part.ImageURL)))
		case part.Text != "":
			parts = append(parts, genai.NewPartFromText(part.Text))
		}
	}
	for _, call := range m.ToolCalls {
		names[call.ID] = call.Name
		arguments := make(map[string]any)
		if err := json.Unmarshal([]byte(cmp.Or(call.Arguments, "{}")), &arguments); err != nil {
			return nil, fmt.Errorf("the arguments of the call of %.80q are not a JSON object", call.Name)
		}
		parts = append(parts, genai.NewPartFromFunctionCall(call.Name, arguments))
	}
	return parts, nil
}

// mimeOf is the type of an image by its address, which Vertex wants to know.
func mimeOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "image/jpeg"
	}
	return cmp.Or(mime.TypeByExtension(strings.ToLower(path.Ext(u.Path))), "image/jpeg")
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// functionWire is a function as OpenAI's two APIs describe it: at once, or one level lower.
type functionWire struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Function    *functionWire   `json:"function"`
}

// addTools translates functions. What is no function is Vertex's own.
func addTools(config *genai.GenerateContentConfig, r provider.Request) error {
	if len(r.Tools) > 0 {
		var list []json.RawMessage
		if err := json.Unmarshal(r.Tools, &list); err != nil {
			return fmt.Errorf("tools must be a list of objects")
		}
		functions := new(genai.Tool)
		for i, raw := range list {
			var f functionWire
			var own genai.Tool
			if err := json.Unmarshal(raw, &f); err != nil {
				return fmt.Errorf("tool %d cannot be read", i)
			}
			if f.Function != nil {
				f.Function.Type, f = f.Type, *f.Function
			}
			switch {
			case f.Type == "function":
				functions.FunctionDeclarations = append(functions.FunctionDeclarations, f.declaration())
			case json.Unmarshal(raw, &own) != nil:
				return fmt.Errorf("tool %d is no function, and none of Vertex's own", i)
			default:
				config.Tools = append(config.Tools, &own)
			}
		}
		if len(functions.FunctionDeclarations) > 0 {
			config.Tools = append(config.Tools, functions)
		}
	}
	return addToolChoice(config, r.ToolChoice)
}

func (f functionWire) declaration() *genai.FunctionDeclaration {
	d := &genai.FunctionDeclaration{Name: f.Name, Description: f.Description}
	if len(f.Parameters) > 0 {
		d.ParametersJsonSchema = f.Parameters
	}
	return d
}

func addToolChoice(config *genai.GenerateContentConfig, choice jsontext.Value) error {
	if len(choice) == 0 {
		return nil
	}
	calling := new(genai.FunctionCallingConfig)
	config.ToolConfig = &genai.ToolConfig{FunctionCallingConfig: calling}
	var word string
	if json.Unmarshal(choice, &word) == nil {
		mode, ok := map[string]genai.FunctionCallingConfigMode{"auto": genai.FunctionCallingConfigModeAuto,
			"none": genai.FunctionCallingConfigModeNone, "required": genai.FunctionCallingConfigModeAny}[word]
		if !ok {
			return fmt.Errorf("tool_choice %.40q is none of auto, none, required", word)
		}
		calling.Mode = mode
		return nil
	}
	var f functionWire
	if json.Unmarshal(choice, &f) == nil && f.Function != nil {
		f = *f.Function
	}
	if f.Name == "" {
		return fmt.Errorf("tool_choice must be a word, or name a function")
	}
	calling.Mode, calling.AllowedFunctionNames = genai.FunctionCallingConfigModeAny, []string{f.Name}
	return nil
}
