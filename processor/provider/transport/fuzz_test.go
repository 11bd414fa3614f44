package transport

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aiecs/tasklane/processor/provider"
)

// FuzzRefusal: whatever a provider, or what stands before it, writes into the body of an error and into its headers,
// comes to one of the known kinds, with a message in moderate length, without the key, and a wait that ends.
func FuzzRefusal(f *testing.F) {
	for _, body := range []string{``, `{}`, `null`, `[]`, `[{"error":{}}]`, `{"error":"x"}`, `{"error":{"message":5}}`,
		`{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"1e9h"},{"retryDelay":"-5s"}]}}`,
		`{"type":"error","error":{"type":"overloaded_error"}}`, `<html>`, `{"detail":[{}]}`, "\xff topsecret",
		`{"error":{"error":{"error":"deep"}}}`, `{"message":"` + strings.Repeat("x", 2000) + `"}`,
	} {
		f.Add(429, body, "7", "")
		f.Add(503, body, "Fri, 01 May 2026 12:00:09 GMT", "false")
		f.Add(302, body, "-1", "true")
	}
	call := &Call{transport: New(Config{Provider: "p", Secrets: []string{"topsecret"}, Base: http.DefaultTransport})}
	f.Fuzz(func(t *testing.T, status int, body, wait, again string) {
		if status < 300 || status > 599 {
			return
		}
		e := &provider.Error{Provider: "p", Status: status}
		h := http.Header{"Retry-After": {wait}, "Retry-After-Ms": {wait}, "X-Should-Retry": {again}, "Location": {body}}
		call.refused(e, h, []byte(body))
		text := e.Error() + e.Code
		switch {
		case e.Kind == "" || e.Message == "" || len(text) > 3*maxText || !utf8.ValidString(text):
			t.Errorf("%d %q: got %+v", status, body, e)
		case e.RetryAfter < 0 || e.RetryAfter > maxRetryAfter:
			t.Errorf("waits %v", e.RetryAfter)
		case strings.Contains(text, "topsecret"):
			t.Errorf("a key is in %s", text)
		}
		inside := call.Failed(body, again)
		if inside.Kind == "" || inside.Message == "" || strings.Contains(inside.Error()+inside.Code, "topsecret") {
			t.Errorf("inside: got %+v", inside)
		}
	})
}

// FuzzRetryAfter: no header makes a wait that is negative or longer than an hour.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "7", "0x10", "1_0", "Inf", "-Inf", "NaN", "1e308", "5e-324", "+3", " 3 ", "3s",
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "\x00"} {
		f.Add(value, value)
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, ms, value string) {
		h := http.Header{"Retry-After-Ms": {ms}, "Retry-After": {value}}
		if got := RetryAfter(h, now); got < 0 || got > maxRetryAfter {
			t.Errorf("%q, %q: waits %v", ms, value, got)
		}
	})
}
