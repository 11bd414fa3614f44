// Package anthropic speaks to Anthropic's Messages API by its official SDK.
package anthropic

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/packages/ssestream"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// BaseURL is where Anthropic is.
const BaseURL = "https://api.anthropic.com"

// Options are what a provider is made of. Nothing else is read from the environment, the proxies aside.
type Options struct {
	// Name is what errors and usage carry: "anthropic" if not given.
	Name string
	// BaseURL is the API's without the version, Anthropic's if not given.
	BaseURL string
	APIKey  string
	// Headers are sent with every request.
	Headers map[string]string
	// MaxBody and MaxEvent bound an answer and one event of its stream, in bytes; 0 takes the defaults of package
	// transport.
	MaxBody, MaxEvent int64
	// ConnectTimeout and IdleTimeout bound how long a connection takes to be made, and how long nothing may come.
	ConnectTimeout, IdleTimeout time.Duration
	// Base sends the requests; nil does as the environment's proxies say.
	Base http.RoundTripper
}

// Provider is a provider.Provider.
type Provider struct {
	name      string
	client    anthropic.Client
	transport *transport.Transport
}

// New checks the options and connects to nothing.
func New(o Options) (*Provider, error) {
	name := cmp.Or(o.Name, "anthropic")
	base, err := url.Parse(cmp.Or(o.BaseURL, BaseURL))
	switch {
	case err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, errors.New("set up " + name + ": its base URL must be like https://host")
	case o.APIKey == "" && o.BaseURL == "":
		return nil, errors.New("set up " + name + ": an API key is missing")
	}
	options := []option.RequestOption{option.WithBaseURL(base.String()), option.WithMaxRetries(0)}
	if o.APIKey != "" {
		options = append(options, option.WithAPIKey(o.APIKey))
	}
	for header, value := range o.Headers {
		options = append(options, option.WithHeader(header, value))
	}
	t := transport.New(transport.Config{Provider: name, BaseURL: base, APIKey: o.APIKey, Headers: o.Headers,
		MaxBody: o.MaxBody, MaxEvent: o.MaxEvent, ConnectTimeout: o.ConnectTimeout, IdleTimeout: o.IdleTimeout, Base: o.Base})
	options = append(options, option.WithHTTPClient(t.Client()))
	// Not NewClient: that would look for other credentials, in the environment and in files.
	return &Provider{name: name, client: anthropic.Client{Options: options}, transport: t}, nil
}

// Name is what errors and usage carry.
func (p *Provider) Name() string { return p.name }

// Close gives up idle connections.
func (p *Provider) Close() { p.transport.Close() }

// Complete asks for a message.
func (p *Provider) Complete(ctx context.Context, r provider.Request,
	onDelta func(provider.Delta) error) (provider.Result, error) {
	body, err := messageParams(r)
	if err != nil {
		return provider.Result{}, &provider.Error{Provider: p.name, Kind: provider.BadRequest, Code: "invalid_request",
			Message: err.Error()}
	}
	ctx, call := p.transport.Begin(ctx)
	m := &message{call: call, onDelta: onDelta}
	err = p.read(ctx, call, body, r.Stream, m)
	result := m.result()
	result.Provider = p.name
	return result, err
}

func (p *Provider) read(ctx context.Context, call *transport.Call, body anthropic.MessageNewParams, stream bool,
	m *message) error {
	var options []option.RequestOption
	if stream {
		options = append(options, option.WithJSONSet("stream", true))
	}
	var response *http.Response
	if err := p.client.Post(ctx, "v1/messages", body, &response, options...); err != nil {
		return call.Err(ctx, err)
	}
	return call.Read(ctx, response, events, m)
}

func events(response *http.Response) func() ([]byte, bool) {
	decoder := ssestream.NewDecoder(response)
	return func() ([]byte, bool) {
		ok := decoder.Next()
		return decoder.Event().Data, ok
	}
}
