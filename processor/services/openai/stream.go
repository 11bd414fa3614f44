package openai

import (
	"context"
	"net/http"

	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// answer puts an API's answer together from the events of its stream, or from one document.
type answer interface {
	transport.Answer
	// result is what has come so far.
	result() provider.Result
}

// question is a body for a path of the API.
type question struct {
	path    string
	body    any
	options []option.RequestOption
}

// ask posts a question and has the answer put together. The result holds what came, with an error too.
func (p *Provider) ask(ctx context.Context, q question, into func(*transport.Call) answer) (provider.Result, error) {
	ctx, call := p.transport.Begin(ctx)
	a := into(call)
	err := p.read(ctx, call, q, a)
	result := a.result()
	result.Provider = p.name
	return result, err
}

func (p *Provider) read(ctx context.Context, call *transport.Call, q question, into answer) error {
	var response *http.Response
	if err := p.client.Post(ctx, q.path, q.body, &response, q.options...); err != nil {
		return call.Err(ctx, err)
	}
	return call.Read(ctx, response, events, into)
}

func events(response *http.Response) func() ([]byte, bool) {
	decoder := ssestream.NewDecoder(response)
	return func() ([]byte, bool) {
		ok := decoder.Next()
		return decoder.Event().Data, ok
	}
}
