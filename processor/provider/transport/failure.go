package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor/provider"
)

// Err is what went wrong with a call, given what its SDK made of it: the end of the context, or a [*provider.Error]. Of
// an answer that came whole and in order, err alone says what is wrong with it.
func (c *Call) Err(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask %s: %w", c.transport.config.Provider, context.Cause(ctx))
	}
	c.mu.Lock()
	response, failure, broke := c.response, c.failure, c.err
	c.mu.Unlock()
	e := &provider.Error{Provider: c.transport.config.Provider}
	switch {
	case response == nil:
		e.Kind, e.Code = provider.Network, "unreachable"
		if broke == nil {
			broke = err
		}
		e.Message = c.Clean("cannot be reached: " + reasonOf(broke))
	case response.StatusCode/100 != 2:
		e.Status = response.StatusCode
		c.refused(e, response.Header, failure)
	case errors.Is(broke, errBodyTooLarge), errors.Is(broke, errEventTooLarge):
		e.Status, e.Kind, e.Code, e.Message = response.StatusCode, provider.BadRequest, "answer_too_large", broke.Error()
	case broke != nil:
		e.Status, e.Kind, e.Code = response.StatusCode, provider.Cut, "connection_lost"
		e.Message = c.Clean("the connection was lost in the middle of the answer: " + reasonOf(broke))
	default:
		e.Status, e.Kind, e.Code = response.StatusCode, provider.Cut, "malformed_answer"
		e.Message = c.Clean(fmt.Sprintf("the answer (%s) cannot be read: %s", mediaType(response), reasonOf(err)))
	}
	return e
}

// noReason stands where a provider says nothing.
const noReason = "failed without a reason"

// reasonOf is an error without the address, which may have a password in it.
func reasonOf(err error) string {
	var at *url.Error
	switch {
	case err == nil:
		return "no reason is known"
	case errors.As(err, &at):
		return at.Err.Error()
	}
	return err.Error()
}

// Unended is a stream that has ended without its end mark: what came is not all.
func (c *Call) Unended() *provider.Error {
	return &provider.Error{Provider: c.transport.config.Provider, Status: http.StatusOK, Kind: provider.Cut,
		Code: "stream_cut", Message: "the stream ended without its end mark"}
}

// Failed is an error that came inside a stream or an answer with status 200.
func (c *Call) Failed(code, message string) *provider.Error {
	e := &provider.Error{Provider: c.transport.config.Provider, Status: http.StatusOK, Code: c.Clean(code)}
	e.Message = cmp.Or(c.Clean(message), noReason)
	var known bool
	if e.Kind, known = kindOfCode(code, message); !known {
		e.Kind = provider.Overloaded
		if status, err := strconv.Atoi(code); err == nil {
			e.Kind = kindOfStatus(status)
		}
	}
	return e
}

// unknownEndpoint is how LM Studio says, with status 200, that it does not know a path.
const unknownEndpoint = "Unexpected endpoint or method"

// Lacks reports whether an error says that the server does not know the path that was asked: in one of the many ways
// of servers that are compatible with another. One that knows it says by a code that it is the model that is missing.
func Lacks(err error) bool {
	var e *provider.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusNotFound:
		return e.Code != "model_not_found"
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return strings.HasPrefix(e.Message, unknownEndpoint)
}

// refused is an error by HTTP.
func (c *Call) refused(e *provider.Error, h http.Header, body []byte) {
	code, message, wait := readRefusal(body)
	e.Code = c.Clean(code)
	e.Message = c.Clean(message)
	if e.Status/100 == 3 {
		to, err := url.Parse(h.Get("Location"))
		if err != nil {
			to = new(url.URL)
		}
		e.Kind, e.Code = provider.BadRequest, "redirected"
		e.Message = c.Clean(fmt.Sprintf("answered with a redirect to %q, which is not followed; correct the base URL",
			to.Host))
		return
	}
	if e.Message == "" {
		e.Message = cmp.Or(http.StatusText(e.Status), noReason)
	}
	e.RetryAfter = RetryAfter(h, time.Now())
	if e.RetryAfter == 0 {
		e.RetryAfter = min(wait, maxRetryAfter)
	}
	defer func() { e.Kind = asAsked(e.Kind, h.Get("X-Should-Retry")) }()
	e.Kind = kindOfStatus(e.Status)
	// Some gateways say "invalid request" with every status.
	if kind, known := kindOfCode(code, message); known && (kind != provider.BadRequest || e.Kind == provider.BadRequest) {
		e.Kind = kind
	}
}

// refusalWire is an error's body, in the ways in which providers and what stands before them write it.
type refusalWire struct {
	Error   jsontext.Value `json:"error"`
	Message jsontext.Value `json:"message"`
	Detail  jsontext.Value `json:"detail"`
	Code    jsontext.Value `json:"code"`
	Type    jsontext.Value `json:"type"`
	Status  jsontext.Value `json:"status"`
	Details []struct {
		RetryDelay string `json:"retryDelay"`
	} `json:"details"`
}

// readRefusal is the code, the message and the wait in an error's body. What is no document of a known form is the
// message.
func readRefusal(body []byte) (code, message string, wait time.Duration) {
	var w refusalWire
	document := jsontext.Value(body)
	var list []jsontext.Value
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		document = list[0]
	}
	if json.Unmarshal(document, &w) != nil {
		return "", plain(string(body)), 0
	}
	if w.Error.Kind() == '{' {
		inner := w.Error
		w = refusalWire{}
		if json.Unmarshal(inner, &w) != nil {
			return "", string(inner), 0
		}
	}
	for _, d := range w.Details {
		if delay, err := time.ParseDuration(d.RetryDelay); err == nil {
			wait = max(wait, delay)
		}
	}
	return firstText(w.Code, w.Status, w.Type), firstText(w.Message, w.Detail, w.Error), wait
}

// plain is a page or a line of text as a message.
func plain(text string) string {
	if strings.Contains(text, "<") {
		return "" // a page of some proxy; the status says more
	}
	return text
}

func firstText(values ...jsontext.Value) string {
	for _, v := range values {
		var text string
		if v.Kind() == '"' && json.Unmarshal(v, &text) == nil && text != "" {
			return text
		}
	}
	for _, v := range values {
		if v.Kind() == '{' || v.Kind() == '[' {
			return string(v)
		}
	}
	return ""
}

func kindOfStatus(status int) provider.Kind {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusPaymentRequired:
		return provider.Auth
	case status == http.StatusTooManyRequests:
		return provider.RateLimited
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly, status >= 500:
		return provider.Overloaded
	}
	return provider.BadRequest
}

// asAsked is the kind after what the provider says of another try, which goes before what a status means.
func asAsked(kind provider.Kind, shouldRetry string) provider.Kind {
	again := (&provider.Error{Kind: kind}).Retryable()
	switch {
	case shouldRetry == "true" && !again:
		return provider.Overloaded
	case shouldRetry == "false" && kind == provider.RateLimited:
		return provider.Auth // what is used up does not come back by waiting
	case shouldRetry == "false" && again:
		return provider.BadRequest
	}
	return kind
}

// kindOfCode is what a code says more exactly than a status does.
func kindOfCode(code, message string) (kind provider.Kind, known bool) {
	switch {
	case code == "invalid_request_error" && strings.Contains(message, "credit balance"):
		return provider.Auth, true // how Anthropic says that nobody has paid
	case strings.HasPrefix(message, unknownEndpoint):
		return provider.BadRequest, true
	}
	for kind, codes := range codes() {
		if slices.Contains(codes, code) {
			return kind, true
		}
	}
	return "", false
}

func codes() map[provider.Kind][]string {
	return map[provider.Kind][]string{
		// Waiting does not help: somebody has to pay, or to give another key.
		provider.Auth: {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated",
			"billing_error", "authentication_error", "permission_error", "invalid_api_key", "UNAUTHENTICATED",
			"PERMISSION_DENIED"},
		provider.RateLimited: {"rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"},
		provider.Overloaded: {"overloaded_error", "server_error", "api_error", "timeout_error", "UNAVAILABLE", "INTERNAL",
			"DEADLINE_EXCEEDED", "server_overloaded", "engine_overloaded"},
		provider.Refused: {"content_filter", "content_policy_violation", "moderation_blocked",
			"image_content_policy_violation", "responsible_ai_policy_violation", "cyber_policy_violation"},
		provider.BadRequest: {"invalid_request_error", "not_found_error", "request_too_large", "context_length_exceeded",
			"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "invalid_prompt", "model_not_found"},
	}
}
