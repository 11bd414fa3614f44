package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// maxAnswerBytes bounds an answer: a result is at most 2 MiB, a history more.
const maxAnswerBytes = 64 << 20

// call is one request of the API. It can be sent any number of times.
type call struct {
	method string
	path   []string // elements, escaped on the way
	query  url.Values
	body   []byte
	// content, if not nil, is the body instead, and can be sent once.
	content io.Reader
	wait    time.Duration // how long the server may take before it starts to answer
	// lenient prefers that members which the server does not know are kept.
	lenient bool
}

// answer is a 2xx.
type answer struct {
	status int
	body   []byte
}

// refusal is an error with the server's advice on when to come back.
type refusal struct {
	error
	after time.Duration
}

func (r refusal) Unwrap() error { return r.error }

// do sends the call until there is an answer for good.
func (c *Client) do(ctx context.Context, r *retry, one call) (got *answer, err error) {
	err = c.try(ctx, r, func(token string) error {
		got, err = c.send(ctx, one, token)
		return err
	})
	return got, err
}

// try sends something until there is an answer for good.
func (c *Client) try(ctx context.Context, r *retry, send func(token string) error) error {
	for {
		token, err := c.tokens.get(ctx, r.refused)
		if err != nil {
			err = &unsentError{err}
		} else {
			err = send(token)
		}
		if err == nil {
			r.answered()
			return nil
		}
		var refused refusal
		var advice time.Duration
		if errors.As(err, &refused) {
			err, advice = refused.error, refused.after
		}
		if c.tokens.renewable(r, token, err) {
			continue
		}
		if err = r.wait(ctx, err, advice); err != nil {
			return err
		}
	}
}

// send sends the call once.
func (c *Client) send(ctx context.Context, one call, token string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, one.wait+c.patience())
	defer cancel()
	request, err := c.newRequest(ctx, one, token)
	if err != nil {
		return nil, err
	}
	way := new(way)
	response, err := c.http.Do(request.WithContext(way.trace(ctx)))
	if err != nil {
		return nil, unreachable(way.mark(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, unreachable(fmt.Errorf("read answer: %w", err))
	case len(body) > maxAnswerBytes:
		return nil, fmt.Errorf("read answer: more than %d bytes", maxAnswerBytes)
	case response.StatusCode/100 == 2:
		return &answer{status: response.StatusCode, body: body}, nil
	}
	return nil, refusal{newAPIError(response.StatusCode, body), retryAfter(response.Header, time.Now())}
}

// patience is how long one try may take: there is no point in one that is longer
// than all together may.
func (c *Client) patience() time.Duration {
	if c.giveUpAfter > 0 {
		return min(c.timing.answer, c.giveUpAfter)
	}
	return c.timing.answer
}

func (c *Client) newRequest(ctx context.Context, one call, token string) (*http.Request, error) {
	// JoinPath takes escaped elements and resolves dots, both of which an id may
	// hold.
	escaped := make([]string, len(one.path))
	for i, element := range one.path {
		escaped[i] = url.PathEscape(element)
		if strings.Trim(element, ".") == "" {
			escaped[i] = strings.ReplaceAll(element, ".", "%2E")
		}
	}
	target := c.server.JoinPath(escaped...)
	target.RawQuery = one.query.Encode()
	body := one.content
	if body == nil {
		body = bytes.NewReader(one.body)
	}
	request, err := http.NewRequestWithContext(ctx, one.method, target.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Accept", "application/json, application/problem+json")
	if one.lenient {
		request.Header.Set("Prefer", "handling=lenient")
	}
	if one.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	authorize(request.Header, token)
	return request, nil
}

func (a *answer) decode(v any) error {
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}
