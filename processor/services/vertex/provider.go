// Package vertex speaks to Google's models on Vertex AI by the official SDK, google.golang.org/genai, with
// application default credentials.
package vertex

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/httptransport"
	"google.golang.org/genai"

	"github.com/aiecs/tasklane/processor/provider"
	"github.com/aiecs/tasklane/processor/provider/transport"
)

// DefaultLocation is Google's choice of a place.
const DefaultLocation = "global"

const scope = "https://www.googleapis.com/auth/cloud-platform"

// Options are what a provider is made of.
type Options struct {
	// Name is what errors and usage carry: "vertex" if not given.
	Name string
	// Project is the project that pays; Location where the models are, DefaultLocation if not given.
	Project, Location string
	// BaseURL is the location's own if not given, or GOOGLE_VERTEX_BASE_URL. Where one is given and there are no
	// credentials, requests go out without any.
	BaseURL string
	// CredentialsFile is used instead of the application default credentials.
	CredentialsFile string
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

// Provider is a provider.Provider, with embeddings and images.
type Provider struct {
	name      string
	client    *genai.Client
	transport *transport.Transport
	tokens    *http.Transport // fetches access tokens
}

// New checks the options and finds the credentials. It fetches no token yet; on Google's machines it asks them whether
// they are that.
func New(o Options) (*Provider, error) {
	p := &Provider{name: cmp.Or(o.Name, "vertex")}
	baseURL := cmp.Or(o.BaseURL, os.Getenv("GOOGLE_VERTEX_BASE_URL"))
	base, err := url.Parse(baseURL)
	switch {
	case o.Project == "":
		return nil, errors.New("set up " + p.name + ": a project is missing; set VERTEX_PROJECT_ID")
	case baseURL != "" && (err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == ""):
		return nil, errors.New("set up " + p.name + ": its base URL must be like https://host")
	}
	creds, err := p.credentials(o.CredentialsFile)
	if err != nil && (baseURL == "" || o.CredentialsFile != "") {
		return nil, fmt.Errorf("set up %s: no credentials: %w; set GOOGLE_APPLICATION_CREDENTIALS to a key file, "+
			"or run where Google gives an identity", p.name, err)
	}
	headers := make(http.Header)
	for header, value := range o.Headers {
		headers.Set(header, value)
	}
	config := transport.Config{Provider: p.name, BaseURL: base, Headers: o.Headers, Secrets: secretsOf(creds),
		MaxBody: o.MaxBody, MaxEvent: o.MaxEvent, ConnectTimeout: o.ConnectTimeout, IdleTimeout: o.IdleTimeout, Base: o.Base}
	if creds != nil {
		if quota, err := creds.QuotaProjectID(context.Background()); err == nil && quota != "" {
			headers.Set("X-Goog-User-Project", quota)
		}
		config.Authenticate = authenticate(creds)
	}
	p.transport = transport.New(config)
	p.client, err = genai.NewClient(context.Background(), &genai.ClientConfig{
		Backend: genai.BackendVertexAI, Project: o.Project, Location: cmp.Or(o.Location, DefaultLocation),
		HTTPClient: p.transport.Client(), HTTPOptions: genai.HTTPOptions{BaseURL: baseURL, Headers: headers},
	})
	if err != nil {
		return nil, fmt.Errorf("set up %s: %w", p.name, err)
	}
	return p, nil
}

// credentials are those of a file, or the application's.
func (p *Provider) credentials(file string) (*auth.Credentials, error) {
	if shared, ok := http.DefaultTransport.(*http.Transport); ok {
		p.tokens = shared.Clone()
	} else {
		p.tokens = new(http.Transport)
	}
	return credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{scope}, CredentialsFile: file,
		Client: &http.Client{Transport: p.tokens, Timeout: time.Minute}})
}

// secretsOf are what a file of credentials holds that is not to be seen.
func secretsOf(creds *auth.Credentials) []string {
	var file struct {
		PrivateKeyID string `json:"private_key_id"`
		PrivateKey   string `json:"private_key"`
		ClientSecret string `json:"client_secret"`
		RefreshToken string `json:"refresh_token"`
	}
	if creds == nil || json.Unmarshal(creds.JSON(), &file) != nil {
		return nil // an identity that Google gives has no file
	}
	return []string{file.PrivateKeyID, file.PrivateKey, file.ClientSecret, file.RefreshToken}
}

// authenticate puts an access token on each request.
func authenticate(creds *auth.Credentials) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		client := &http.Client{Transport: next}
		_ = httptransport.AddAuthorizationMiddleware(client, creds) // fails without either
		return client.Transport
	}
}

// Name is what errors and usage carry.
func (p *Provider) Name() string { return p.name }

// Close gives up idle connections.
func (p *Provider) Close() {
	p.transport.Close()
	p.tokens.CloseIdleConnections()
}

// explain is what went wrong with a call, given what the SDK made of it.
func (p *Provider) explain(ctx context.Context, call *transport.Call, err error) error {
	var token *auth.Error
	var inside genai.APIError
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &token):
		e := &provider.Error{Provider: p.name, Kind: provider.Auth, Code: "no_access_token",
			Message: "no access token was given; look at the credentials"}
		if token.Response != nil {
			e.Status = token.Response.StatusCode
			e.Message = fmt.Sprintf("%s (the token's server answered with status %d)", e.Message, e.Status)
			if e.Status >= 500 {
				e.Kind = provider.Overloaded
			}
		}
		return e
	case errors.As(err, &inside) && call.Succeeded():
		return call.Failed(cmp.Or(inside.Status, strconv.Itoa(inside.Code)), inside.Message)
	}
	return call.Err(ctx, err)
}
