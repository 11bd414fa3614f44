package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// Addresses of a Tasklane that was started with its defaults.
const (
	DefaultServer   = "http://127.0.0.1:8080"
	DefaultNotifier = "ws://127.0.0.1:8000"
)

// Config is what a [Client] needs to know. The zero Config speaks to a Tasklane
// on this machine with its default ports.
type Config struct {
	// Server is the API's address, [DefaultServer] if empty.
	Server string
	// Notifier is the notifier's address (ws, wss, http or https),
	// [DefaultNotifier] if empty.
	Notifier string
	// Token is sent as bearer token with every request if it is not empty.
	Token string
	// TokenSource, if not nil, is asked for the token instead: before the first
	// request, and again whenever one was refused as not or no longer valid (401,
	// or close code 4401). It is asked by one goroutine at a time; an error from it
	// ends the call that needed the token, unless it wraps [ErrUnreachable].
	TokenSource func(context.Context) (string, error)
	// GiveUpAfter bounds how long a call goes on trying while it gets no usable
	// answer. Zero means as long as the call's context lives. A Wait or Watch
	// counts from the last answer it got.
	GiveUpAfter time.Duration
	// HTTPClient makes the requests; nil uses one of the client's own. Its
	// Timeout must be 0 or above a minute, or long polls end early. If its
	// Transport is an *http.Transport, WebSockets use that one's proxy, TLS and
	// dial settings too.
	HTTPClient *http.Client
	// KeepUnknown has members of a task kept that the server does not know, which it
	// refuses otherwise: one that was misspelt would be accepted and not done.
	KeepUnknown bool
	// Logger is told of retries and reconnects; nil discards.
	Logger *slog.Logger
}

// Client speaks to one Tasklane.
type Client struct {
	server      *url.URL
	notifier    *url.URL
	tokens      *tokens
	giveUpAfter time.Duration
	keepUnknown bool
	http        *http.Client
	dialer      websocket.Dialer
	log         *slog.Logger
	timing      timing
}

// timing holds every duration that is not the caller's, so that tests can
// shorten them.
type timing struct {
	firstPause    time.Duration // before the second try
	longestPause  time.Duration // between two tries
	longestAdvice time.Duration // of a server's Retry-After that is followed
	answer        time.Duration // for an answer, on top of a long poll's wait
	longPoll      time.Duration // of one /result request
	shortestPoll  time.Duration // between two of them, should the server not wait
	ping          time.Duration // between two pings on a WebSocket
	silence       time.Duration // without any frame, after which it is dead
	settled       time.Duration // a connection this old resets the pauses
}

func defaultTiming() timing {
	return timing{
		firstPause:    100 * time.Millisecond,
		longestPause:  5 * time.Second,
		longestAdvice: time.Minute,
		answer:        15 * time.Second,
		longPoll:      30 * time.Second,
		shortestPoll:  250 * time.Millisecond,
		ping:          15 * time.Second,
		silence:       40 * time.Second,
		settled:       10 * time.Second,
	}
}

// New checks the configuration. It opens no connection.
func New(config Config) (*Client, error) {
	server, err := parseAddress(config.Server, DefaultServer, "http", "https")
	if err != nil {
		return nil, fmt.Errorf("parse server address: %w", err)
	}
	notifier, err := parseAddress(config.Notifier, DefaultNotifier, "ws", "wss", "http", "https")
	if err != nil {
		return nil, fmt.Errorf("parse notifier address: %w", err)
	}
	if config.Token != "" && config.TokenSource != nil {
		return nil, errors.New("both Token and TokenSource are set: choose one")
	}
	if config.GiveUpAfter < 0 {
		return nil, fmt.Errorf("give up after %v: must not be negative", config.GiveUpAfter)
	}
	notifier.Scheme = strings.Replace(notifier.Scheme, "http", "ws", 1)
	c := &Client{
		server: server, notifier: notifier, tokens: newTokens(config.Token, config.TokenSource),
		giveUpAfter: config.GiveUpAfter, keepUnknown: config.KeepUnknown,
		http: config.HTTPClient, log: config.Logger, timing: defaultTiming(),
	}
	if c.http == nil {
		c.http = newHTTPClient()
	}
	c.dialer = newDialer(c.http.Transport)
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Close closes the client's idle connections. Calls under way are not touched.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func parseAddress(address, otherwise string, schemes ...string) (*url.URL, error) {
	if address == "" {
		address = otherwise
	}
	if !strings.Contains(address, "://") {
		return nil, fmt.Errorf("%q is no address such as %s: it has no scheme; write %s://%s",
			address, otherwise, schemes[0], address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%q is no address such as %s: %w", address, otherwise, err)
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme && u.Host != "" {
			u.RawQuery, u.Fragment = "", ""
			return u, nil
		}
	}
	return nil, fmt.Errorf("%q is no address such as %s: want %s and a host",
		address, otherwise, strings.Join(schemes, ", "))
}

// newHTTPClient keeps more idle connections to its one host than the standard
// library's two: a program that submits from many goroutines would otherwise
// open a connection for nearly every task.
func newHTTPClient() *http.Client {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
	}
	return &http.Client{Transport: transport}
}
