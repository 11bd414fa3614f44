package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/openai/openai-go/v3"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// Embed asks for a vector of each input.
func (p *Provider) Embed(ctx context.Context, r provider.EmbedRequest) (provider.EmbedResult, error) {
	body := openai.EmbeddingNewParams{Model: r.Model}
	body.Input.OfArrayOfStrings = r.Inputs
	if r.Dimensions > 0 {
		body.Dimensions = openai.Int(r.Dimensions)
	}
	if r.User != "" {
		body.User = openai.String(identifier(r.User))
	}
	body.SetExtraFields(rawMembers(r.Options))
	var into *embeddings
	result, err := p.ask(ctx, question{path: "embeddings", body: body}, func(call *transport.Call) answer {
		into = &embeddings{call: call}
		return into
	})
	embedded := provider.EmbedResult{Model: result.Model, Usage: result.Usage}
	if err != nil {
		return embedded, err
	}
	embedded.Vectors, err = into.vectors(len(r.Inputs))
	if err != nil {
		return embedded, &provider.Error{Provider: p.name, Status: 200, Kind: provider.Cut, Code: "malformed_answer",
			Message: err.Error(), Usage: result.Usage}
	}
	return embedded, nil
}

func rawMembers(options map[string]jsontext.Value) map[string]any {
	all := make(map[string]any, len(options)+2)
	for name, value := range options {
		all[name] = json.RawMessage(value)
	}
	return all
}

// embeddings is an answer with vectors.
type embeddings struct {
	call *transport.Call

	wire   embeddingsWire
	object jsontext.Value
}

type embeddingsWire struct {
	Object string `json:"object"`
	Model  string `json:"model"`
	Data   []struct {
		Index     int            `json:"index"`
		Embedding jsontext.Value `json:"embedding"` // numbers, or base64 if that was asked for
	} `json:"data"`
	Usage jsontext.Value `json:"usage"`
	Error *failureWire   `json:"error"`
}

func (e *embeddings) Event([]byte) (bool, error) { return true, transport.ErrMalformed }

func (e *embeddings) Whole() bool { return false }

func (e *embeddings) Document(data []byte) error {
	switch {
	case jsonv2.Unmarshal(data, &e.wire) != nil:
		return transport.ErrMalformed
	case e.wire.Data == nil:
		if f := failureIn(e.wire.Error, e.wire.Object, data); f != nil {
			return e.call.Failed(f.code(), f.Message)
		}
		return transport.ErrMalformed
	}
	e.object = data
	return nil
}

func (e *embeddings) result() provider.Result {
	return provider.Result{Model: e.wire.Model, Usage: readUsage(e.wire.Usage, nil), Raw: e.object,
		Finish: provider.FinishStop}
}

// vectors are those of so many inputs, in their order.
func (e *embeddings) vectors(count int) ([][]float64, error) {
	vectors := make([][]float64, count)
	for _, d := range e.wire.Data {
		if d.Index < 0 || d.Index >= count || jsonv2.Unmarshal(d.Embedding, &vectors[d.Index]) != nil {
			return nil, fmt.Errorf("the answer has no usable vector at index %d", d.Index)
		}
	}
	if slices.ContainsFunc(vectors, func(v []float64) bool { return len(v) == 0 }) {
		return nil, fmt.Errorf("the answer has %d vectors for %d inputs", len(e.wire.Data), count)
	}
	return vectors, nil
}
