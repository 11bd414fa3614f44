package provider

import "github.com/go-json-experiment/json/jsontext"

// Request asks a model to complete a conversation. What is zero is left to the provider.
type Request struct {
	Model        string
	Instructions string // the system's or developer's message
	Messages     []Message
	// Tools and ToolChoice are as the OpenAI API has them, functions as
	// {"type":"function","name":…,"description":…,"parameters":…}; adapters of others translate those.
	Tools           jsontext.Value
	ToolChoice      jsontext.Value
	MaxOutputTokens int64
	Temperature     *float64
	TopP            *float64
	Stop            []string
	// Schema is the form that the answer has to have; nil is text.
	Schema *Schema
	// PromptCacheKey tells requests that begin alike. User is a stable name of the end user.
	PromptCacheKey string
	User           string
	// Options are the provider's own members of a request, passed through as they are.
	Options map[string]jsontext.Value
	// Stream asks for the answer in pieces.
	Stream bool
}

// Roles of messages.
const (
	RoleSystem    = "system"
	RoleUser      = "user"
	RoleAssistant = "assistant"
	RoleTool      = "tool"
)

// Message is one turn of a conversation. ToolCalls are those that an assistant asked for, ToolCallID is whose answer a
// message of role tool is.
type Message struct {
	Role       string
	Parts      []Part
	ToolCalls  []ToolCall
	ToolCallID string
}

// Part is a piece of a message: a text, or an image by its address or its bytes in base64.
type Part struct {
	Text     string
	ImageURL string
	MIME     string // of Base64, such as image/png
	Base64   string

	// Artifact is the hash of a file of the user's. A service reads it as Base64 before it asks a provider.
	Artifact string
}

// Image reports whether the part is an image.
func (p Part) Image() bool { return p.ImageURL != "" || p.Base64 != "" }

// URL is the image's address, a data URL for one that is given in bytes.
func (p Part) URL() string {
	if p.ImageURL != "" {
		return p.ImageURL
	}
	return "data:" + p.MIME + ";base64," + p.Base64
}

// ToolCall is a call that a model asks for. Arguments are JSON as the model wrote it: it may be anything.
type ToolCall struct{ ID, Name, Arguments string }

// Schema is the JSON Schema of an answer.
type Schema struct {
	Name   string
	Schema jsontext.Value
	Strict bool
}

// EmbedRequest asks for vectors of texts.
type EmbedRequest struct {
	Model      string
	Inputs     []string
	Dimensions int64 // 0: the model's own
	User       string
	Options    map[string]jsontext.Value
}

// ImageRequest asks for images of a prompt.
type ImageRequest struct {
	Model  string
	Prompt string
	N      int64  // 0: one
	Size   string // such as 1024x1024; "": the model's own
	// Images are those to start from, for models that edit.
	Images  []Part
	User    string
	Options map[string]jsontext.Value
}
