package transport

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor/provider"
)

// Bodies of errors as providers and what stands before them write them.
func TestRefusals(t *testing.T) {
	for body, want := range map[string]struct {
		code, message string
		wait          time.Duration
	}{
		``: {},
		`{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded"}}`: {"rate_limit_exceeded", "slow", 0},
		`{"error":{"message":"bad","type":"invalid_request_error","code":null}}`:      {"invalid_request_error", "bad", 0},
		`{"type":"error","error":{"type":"overloaded_error","message":"busy"}}`:       {"overloaded_error", "busy", 0},
		`{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED",
			"details":[{"@type":"x"},{"retryDelay":"12.5s"}]}}`: {"RESOURCE_EXHAUSTED", "quota", 12500 * time.Millisecond},
		`[{"error":{"code":503,"message":"later","status":"UNAVAILABLE"}}]`:           {"UNAVAILABLE", "later", 0},
		`{"error":"model not found"}`:                                                 {"", "model not found", 0},
		`{"object":"error","message":"too long","type":"BadRequestError","code":400}`: {"BadRequestError", "too long", 0},
		`{"detail":"Not Found"}`:                                                      {"", "Not Found", 0},
		`{"detail":[{"msg":"field required"}]}`:                                       {"", `[{"msg":"field required"}]`, 0},
		`404 page not found`:                                                          {"", "404 page not found", 0},
		`<html><h1>502</h1></html>`:                                                   {"", "", 0},
		`{"error":`:                                                                   {"", `{"error":`, 0},
	} {
		code, message, wait := readRefusal([]byte(body))
		if code != want.code || message != want.message || wait != want.wait {
			t.Errorf("%s: got %q, %q, %v", body, code, message, wait)
		}
	}
}

// What a status, a code and x-should-retry come to.
func TestKinds(t *testing.T) {
	call := &Call{transport: New(Config{Provider: "p", Base: http.DefaultTransport})}
	for _, c := range []struct {
		status            int
		code, shouldRetry string
		want              provider.Kind
	}{
		{400, "", "", provider.BadRequest}, {404, "NOT_FOUND", "", provider.BadRequest}, {418, "", "", provider.BadRequest},
		{401, "", "", provider.Auth}, {403, "invalid_request_error", "", provider.Auth}, {402, "", "", provider.Auth},
		{408, "", "", provider.Overloaded}, {409, "", "", provider.Overloaded}, {425, "", "", provider.Overloaded},
		{429, "", "", provider.RateLimited}, {429, "invalid_request_error", "", provider.RateLimited},
		{429, "insufficient_quota", "", provider.Auth}, {429, "", "false", provider.Auth},
		{500, "", "", provider.Overloaded}, {599, "", "", provider.Overloaded}, {503, "", "false", provider.BadRequest},
		{400, "", "true", provider.Overloaded}, {503, "rate_limit_exceeded", "", provider.RateLimited},
		{400, "content_filter", "", provider.Refused}, {500, "invalid_request_error", "", provider.Overloaded},
		{307, "", "true", provider.BadRequest},
	} {
		e := &provider.Error{Status: c.status}
		h := http.Header{"X-Should-Retry": {c.shouldRetry}}
		call.refused(e, h, []byte(`{"error":{"code":"`+c.code+`"}}`))
		if e.Kind != c.want || e.Message == "" {
			t.Errorf("%+v: got %+v", c, e)
		}
	}
}

// A provider's text is shown without keys, those nobody named included, and in moderate length.
func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"the key topsecret is wrong":                         "the key [secret] is wrong",
		"Authorization: Bearer abcdefgh.ijkl":                "Authorization: [secret]",
		"key sk-proj-abcdefghijklmnop12 is wrong":            "key [secret] is wrong",
		"see https://user:hunter22@host/v1":                  "see https:[secret]host/v1",
		"token ya29.a0AfH6SMBx-yz12345 expired":              "token [secret] expired",
		"nothing to hide":                                    "nothing to hide",
		" \n spaces \xff ":                                   "spaces \uFFFD",
		"a task sk-1 of a bearer of news":                    "a task sk-1 of a bearer of news",
		strings.Repeat("x", 999) + "é":                       strings.Repeat("x", 999) + "...",
		strings.Repeat("x", 995) + "topsecret and much more": strings.Repeat("x", 995) + "[secr...",
	} {
		if got := clean(text, hide([]string{"topsecret", "", "abc"})); got != want {
			t.Errorf("%.60q: got %.1100q", text, got)
		}
	}
}
