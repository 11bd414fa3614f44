package transport

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// Defaults of Config.
const (
	DefaultMaxBody  = 64 << 20
	DefaultMaxEvent = 8 << 20
	// DefaultConnectTimeout includes TLS. DefaultIdleTimeout is long: some models think for minutes.
	DefaultConnectTimeout = 10 * time.Second
	DefaultIdleTimeout    = 10 * time.Minute
)

const (
	maxHeader       = 256 << 10
	maxFailureBody  = 64 << 10
	maxFailureWait  = 5 * time.Second // for the rest of an error's body
	maxRedirects    = 3
	idleConnections = 1000 // to a provider, after as many streams at once
	pingAfter       = 30 * time.Second
	// readBuffer is larger than usual: what cuts a stream into events looks at all of an event again with each read.
	readBuffer = 16 << 10
)

// Config is what a Transport needs.
type Config struct {
	// Provider is the name that errors carry.
	Provider string
	// BaseURL, with the user's name and password in it, APIKey, the values of Headers and Secrets must not be seen in any
	// error. What else requests carry as keys, and what proxies are given, is found without being named.
	BaseURL *url.URL
	APIKey  string
	Headers map[string]string
	Secrets []string
	// MaxBody and MaxEvent bound an answer and one event of a stream, in bytes; 0 takes the default.
	MaxBody, MaxEvent int64
	// ConnectTimeout and IdleTimeout bound how long a connection takes to be made, and how long nothing may come; 0 takes
	// the default.
	ConnectTimeout, IdleTimeout time.Duration
	// Base sends the requests; nil does as the environment's proxies say.
	Base http.RoundTripper
	// Authenticate goes around what sends requests, to add what they need; nil adds nothing.
	Authenticate func(http.RoundTripper) http.RoundTripper
}

// Transport makes the calls of one provider. It is safe for concurrent use.
type Transport struct {
	config Config
	client *http.Client
	base   http.RoundTripper
	secret *regexp.Regexp
}

// New starts nothing.
func New(config Config) *Transport {
	config.MaxBody = cmp.Or(config.MaxBody, DefaultMaxBody)
	config.MaxEvent = cmp.Or(config.MaxEvent, DefaultMaxEvent)
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, DefaultConnectTimeout)
	config.IdleTimeout = cmp.Or(config.IdleTimeout, DefaultIdleTimeout)
	t := &Transport{config: config, base: config.Base, secret: hide(config.secrets())}
	if t.base == nil {
		t.base = newBase(config)
	}
	var sends http.RoundTripper = roundTripper(t.roundTrip)
	if config.Authenticate != nil {
		sends = config.Authenticate(sends)
	}
	t.client = &http.Client{Transport: sends, CheckRedirect: checkRedirect}
	return t
}

func newBase(config Config) http.RoundTripper {
	shared, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	own := shared.Clone()
	own.DialContext = (&net.Dialer{Timeout: config.ConnectTimeout, KeepAlive: 30 * time.Second}).DialContext
	own.TLSHandshakeTimeout, own.ResponseHeaderTimeout = config.ConnectTimeout, config.IdleTimeout
	own.MaxResponseHeaderBytes = maxHeader
	// A connection that has died without a word takes all requests with HTTP/2, and none of them would time out soon.
	own.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: config.ConnectTimeout}
	own.ReadBufferSize = readBuffer
	own.MaxIdleConns, own.MaxIdleConnsPerHost = idleConnections, idleConnections
	return own
}

// Client is what an SDK is to use. It notes what happens in the calls of contexts from [Transport.Begin].
func (t *Transport) Client() *http.Client { return t.client }

// Close gives up connections that are not in use.
func (t *Transport) Close() {
	if idle, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// checkRedirect stays with the origin that was configured; else the redirect is the answer.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > maxRedirects || next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

func (t *Transport) roundTrip(r *http.Request) (*http.Response, error) {
	call := callOf(r.Context())
	call.sent(secretsOfHeaders(r.Header))
	response, err := t.base.RoundTrip(r)
	if err != nil {
		call.broke(err)
		return nil, err
	}
	if response.StatusCode/100 == 2 {
		response.Body = newBody(response, call, t.config)
		call.answered(response, nil)
		return response, nil
	}
	failure := readFailure(response.Body)
	call.answered(response, failure)
	response.Body = io.NopCloser(bytes.NewReader(failure))
	response.ContentLength = int64(len(failure))
	return response, nil
}

// readFailure is the beginning of an error's body, as far as it comes.
func readFailure(body io.ReadCloser) []byte {
	timer := time.AfterFunc(maxFailureWait, func() { _ = body.Close() })
	defer timer.Stop()
	defer body.Close()
	failure, _ := io.ReadAll(io.LimitReader(body, maxFailureBody)) // a part of it is better than nothing
	return failure
}

type callKey struct{}

// Begin is the context of one call, and where its outcome is noted.
func (t *Transport) Begin(ctx context.Context) (context.Context, *Call) {
	call := &Call{transport: t}
	return context.WithValue(ctx, callKey{}, call), call
}

// callOf is the call of a context; one that nobody looks at if it has none, as when a token is fetched.
func callOf(ctx context.Context) *Call {
	if call, ok := ctx.Value(callKey{}).(*Call); ok {
		return call
	}
	return new(Call)
}

// ErrMalformed is an answer, or an event of one, that is not what the provider's API says it is.
var ErrMalformed = errors.New("it is no JSON document of the expected form")

var (
	errBodyTooLarge  = errors.New("the answer is larger than is accepted")
	errIdle          = errors.New("nothing came for too long")
	errEventTooLarge = errors.New("an event of the stream is larger than is accepted")
)
