package openai

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// Raw sends a client's request on; see provider.Raw.
//
// What is changed in a body: stream, and with it stream_options.include_usage; background is left out, because
// the task is what runs in the background.
func (p *Provider) Raw(ctx context.Context, name, model string, body jsontext.Value,
	onDelta func(provider.Delta) error) (provider.Result, error) {
	members := make(map[string]jsontext.Value)
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return provider.Result{}, p.badRequest("the request body must be a JSON object")
	}
	if model != "" {
		members["model"] = quoted(model)
	}
	switch name {
	case provider.RawResponses:
		members["stream"] = jsontext.Value("true")
		delete(members, "background")
		return p.ask(ctx, question{path: "responses", body: p.encode(members)}, func(call *transport.Call) answer {
			return &response{call: call, onDelta: onDelta, raw: true}
		})
	case provider.RawChat:
		members["stream"] = jsontext.Value("true")
		options := make(map[string]jsontext.Value)
		if given := members["stream_options"]; given.Kind() == '{' {
			_ = json.Unmarshal(given, &options) // an object always is one
		}
		asked := strings.TrimSpace(string(options["include_usage"])) == "true"
		options["include_usage"] = jsontext.Value("true")
		members["stream_options"] = p.encode(options)
		return p.ask(ctx, question{path: "chat/completions", body: p.encode(members)}, func(call *transport.Call) answer {
			return &chat{call: call, onDelta: onDelta, raw: true, hideUsage: !asked}
		})
	case provider.RawEmbeddings:
		return p.ask(ctx, question{path: "embeddings", body: p.encode(members)}, func(call *transport.Call) answer {
			return &embeddings{call: call}
		})
	}
	return provider.Result{}, p.badRequest(fmt.Sprintf("%.40q is none of responses, chat.completions, embeddings", name))
}

// encode writes members as a body, which the SDK takes as bytes.
func (p *Provider) encode(members map[string]jsontext.Value) []byte {
	b, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("encode a request: %v", err)) // values that were read always encode
	}
	return b
}

func quoted(text string) jsontext.Value {
	b, _ := jsontext.AppendQuote(nil, text) // what is no UTF-8 is replaced
	return b
}

func (p *Provider) badRequest(message string) error {
	return &provider.Error{Provider: p.name, Kind: provider.BadRequest, Code: "invalid_request", Message: message}
}
