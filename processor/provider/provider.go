// Package provider is what all providers of AI models have in common: requests, results and errors in one form, and
// the flow of requests to them: limits, budgets, prices, fallbacks, a breaker, a cache. It knows no SDK: those are
// behind [Provider], one package each below processor/services.
//
// [Service] makes a service of a provider: mode chat, the provider's name, with the methods complete, embed and image,
// and any other task name as an instruction.
package provider

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"
)

// Provider asks models. It tries once: who calls it retries. It is safe for concurrent use.
type Provider interface {
	// Name is what errors and usage carry: "openai".
	Name() string
	// Complete asks for an answer. With Request.Stream every piece goes to onDelta as it comes, from the same
	// goroutine; an error of onDelta ends the request and is returned. When ctx ends the connection is closed at once.
	//
	// An error is context.Cause(ctx) or an [*Error]. The result holds what had come all the same, usage if it is known.
	Complete(ctx context.Context, r Request, onDelta func(Delta) error) (Result, error)
}

// Embedder is a provider that has embeddings.
type Embedder interface {
	Embed(ctx context.Context, r EmbedRequest) (EmbedResult, error)
}

// ImageMaker is a provider that makes images.
type ImageMaker interface {
	Image(ctx context.Context, r ImageRequest) (ImageResult, error)
}

// Raw is a provider that speaks the OpenAI API itself, so that a client's request can be sent on as it is.
type Raw interface {
	// Raw sends body to one of RawResponses, RawChat and RawEmbeddings, with model, if it is not empty, in the place of
	// the body's. The first two are streamed: every event of the stream is in a delta as it came. Result.Raw is the
	// object that a call without a stream would have had.
	Raw(ctx context.Context, name, model string, body jsontext.Value, onDelta func(Delta) error) (Result, error)
}

// The requests of the OpenAI API that are sent on, which are task names as well.
const (
	RawResponses  = "responses"
	RawChat       = "chat.completions"
	RawEmbeddings = "embeddings"
)
