// Package openai speaks to OpenAI by its official SDK: the Responses and Chat Completions APIs, embeddings and
// images; and to whatever is compatible with it by its base URL, such as xAI, vLLM, Ollama and LM Studio.
package openai

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/aiecs/tasklane/processor/provider/transport"
)

// API is one of the two that complete.
type API string

// APIs.
const (
	// Auto is Responses, and Chat Completions for good once a server has said that it has no Responses.
	Auto      API = ""
	Responses API = "responses"
	Chat      API = "chat_completions"
)

// Where OpenAI and xAI are.
const (
	BaseURL    = "https://api.openai.com/v1"
	XAIBaseURL = "https://api.x.ai/v1"
)

// Options are what a provider is made of. Nothing else is read from the environment, the proxies aside, so that the
// keys of one provider do not go to another.
type Options struct {
	// Name is what errors and usage carry: "openai" if not given, "xai" and so on for others.
	Name string
	// BaseURL is the API's, OpenAI's if not given.
	BaseURL string
	// APIKey may be empty where none is asked for, as by most local servers.
	APIKey                string
	Organization, Project string
	// Headers are sent with every request.
	Headers map[string]string
	API     API
	// JSONImages sends images to start from in the way of xAI, which takes no forms.
	JSONImages bool
	// MaxBody and MaxEvent bound an answer and one event of its stream, in bytes; 0 takes the defaults of package
	// transport.
	MaxBody, MaxEvent int64
	// ConnectTimeout and IdleTimeout bound how long a connection takes to be made, and how long nothing may come.
	ConnectTimeout, IdleTimeout time.Duration
	// Base sends the requests; nil does as the environment's proxies say.
	Base http.RoundTripper
}

// Provider is a provider.Provider, with embeddings, images, and bodies passed on as they are.
type Provider struct {
	name       string
	api        API
	compatible bool // not OpenAI itself
	jsonImages bool
	chatOnly   atomic.Bool // found out
	client     openai.Client
	transport  *transport.Transport
}

// New checks the options and connects to nothing.
func New(o Options) (*Provider, error) {
	name := cmp.Or(o.Name, "openai")
	base, err := url.Parse(cmp.Or(o.BaseURL, BaseURL))
	switch {
	case err != nil:
		return nil, fmt.Errorf("set up %s: its base URL is none", name) // the error would repeat it, with what is in it
	case base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, fmt.Errorf("set up %s: its base URL must be like https://host/v1", name)
	case o.API != Auto && o.API != Responses && o.API != Chat:
		return nil, fmt.Errorf("set up %s: api %q is none of %q, %q", name, o.API, Responses, Chat)
	case o.APIKey == "" && o.BaseURL == "":
		return nil, errors.New("set up " + name + ": an API key is missing")
	}
	options := []option.RequestOption{option.WithBaseURL(base.String()), option.WithMaxRetries(0)}
	for header, value := range o.Headers {
		options = append(options, option.WithHeader(header, value))
	}
	for _, one := range []struct {
		value string
		set   func(string) option.RequestOption
	}{{o.APIKey, option.WithAPIKey}, {o.Organization, option.WithOrganization}, {o.Project, option.WithProject}} {
		if one.value != "" {
			options = append(options, one.set(one.value))
		}
	}
	t := transport.New(transport.Config{Provider: name, BaseURL: base, APIKey: o.APIKey, Headers: o.Headers,
		MaxBody: o.MaxBody, MaxEvent: o.MaxEvent, ConnectTimeout: o.ConnectTimeout, IdleTimeout: o.IdleTimeout, Base: o.Base})
	options = append(options, option.WithHTTPClient(t.Client()))
	// Not NewClient: that would read OPENAI_ variables, whoever the requests go to.
	return &Provider{name: name, api: o.API, compatible: base.Host != "api.openai.com", jsonImages: o.JSONImages,
		client: openai.Client{Options: options}, transport: t}, nil
}

// Name is what errors and usage carry.
func (p *Provider) Name() string { return p.name }

// Close gives up idle connections.
func (p *Provider) Close() { p.transport.Close() }
