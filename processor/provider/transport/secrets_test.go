package transport

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever a provider is set up with is kept secret, and what its requests carry as keys.
func TestSecretsAreCollected(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy-user:proxy%2Fpass@proxy.example:3128")
	t.Setenv("http_proxy", "http://lower-user@proxy.example")
	base, err := url.Parse("https://base%40user:base+pass@host/v1")
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Provider: "p", BaseURL: base, APIKey: "the-key", Headers: map[string]string{"X-Tenant": "tenant-key"},
		Secrets: []string{"-----BEGIN KEY-----\nABCD\n"}, Base: http.DefaultTransport}
	_, call := New(config).Begin(t.Context())
	call.sent(secretsOfHeaders(http.Header{
		"Authorization":       {"Basic " + base64.StdEncoding.EncodeToString([]byte("basic-user:basic-pass"))},
		"Proxy-Authorization": {"Bearer bearer-key"}, "X-Api-Key": {"x-api-key-1"}, "X-Goog-Api-Key": {"x-goog-key-1"},
		"Api-Key": {"azure-key"}, "Accept": {"text/plain"}}))
	for _, secret := range []string{"proxy-user", "proxy/pass", "lower-user", "base@user", "base+pass", "base%40user",
		"the-key", "tenant-key", "-----BEGIN KEY-----\nABCD\n", `-----BEGIN KEY-----\nABCD\n`, "basic-user", "basic-pass",
		"YmFzaWMtdXNlcjpiYXNpYy1wYXNz", "bearer-key", "x-api-key-1", "x-goog-key-1", "azure-key"} {
		if got := call.Clean("a " + secret + " b"); got != "a [secret] b" {
			t.Errorf("%q: got %q", secret, got)
		}
	}
	for _, text := range []string{"text/plain", "proxy.example", "host/v1", "ABC"} {
		if got := call.Clean(text); got != text {
			t.Errorf("%q is no secret: got %q", text, got)
		}
	}
}

// forms are ways in which a text comes to stand in another.
func forms() map[string]func(string) string {
	base64URL := base64.RawURLEncoding
	base64 := base64.StdEncoding
	quote := func(s string) string {
		b, _ := json.Marshal(s)
		return string(b[1 : len(b)-1])
	}
	return map[string]func(string) string{
		"as it is": func(s string) string { return s },
		"query":    url.QueryEscape,
		"path":     url.PathEscape,
		"twice":    func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		"lower case": func(s string) string {
			return strings.NewReplacer("%2F", "%2f", "%2B", "%2b").Replace(url.PathEscape(s))
		},
		"user info":      func(s string) string { return url.UserPassword("u", s).String()[2:] },
		"JSON":           quote,
		"JSON in JSON":   func(s string) string { return quote(`{"a":"` + quote(s) + `"}`) },
		"slashes":        func(s string) string { return strings.ReplaceAll(s, "/", `\/`) },
		"Basic":          func(s string) string { return base64.EncodeToString([]byte("u:" + s)) },
		"base64":         func(s string) string { return base64.EncodeToString([]byte(s)) },
		"base64 inside":  func(s string) string { return base64URL.EncodeToString([]byte("abcd" + s + "efg")) },
		"base64 in JSON": func(s string) string { return quote(base64.EncodeToString([]byte("me:" + s + "!"))) },
		"base64 in URL":  func(s string) string { return url.QueryEscape(base64.EncodeToString([]byte("me:" + s))) },
	}
}

// A secret is taken out in whatever form it stands, and what stands around it stays.
func TestSecretsInEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// No characters that could be more of the encoded secret stand around.
		secret := rapid.StringMatching(`[a-zA-Z0-9/+%&"<\\ é=~:-]{6,40}`).Draw(t, "secret")
		other := rapid.StringMatching(`[a-z0-9]{4,12}`).Draw(t, "other")
		all := forms()
		names := make([]string, 0, len(all))
		for name := range all {
			names = append(names, name)
		}
		slices.Sort(names)
		name := rapid.SampledFrom(names).Draw(t, "form")
		form := all[name](secret)
		got := clean("(before) "+form+" (after)", hide([]string{other, secret}))
		found := strings.Contains(got, replacement)
		if !found || !strings.HasPrefix(got, "(before)") || !strings.HasSuffix(got, "(after)") {
			t.Fatalf("%s of %q, %q: got %q", name, secret, form, got)
		}
		if strings.HasPrefix(name, "base64") || name == "Basic" {
			left := strings.TrimSuffix(strings.TrimPrefix(got, "(before) "), " (after)")
			if len(left) > len(replacement)+14 { // what of the neighbours stands there, and the characters shared with them
				t.Fatalf("%s of %q: %q is left of %q", name, secret, left, form)
			}
		} else if strings.Contains(got, form) {
			t.Fatalf("%s of %q: got %q", name, secret, got)
		}
	})
}

// Of secrets that begin alike the whole is taken out, and one that is too short is none.
func TestSecretsWithinSecrets(t *testing.T) {
	hidden := hide([]string{"abcd", "abcdefgh", "abcdef", "xyz", "abcd"})
	if got := clean("abcdefgh abcdef abcd xyz", hidden); got != "[secret] [secret] [secret] xyz" {
		t.Errorf("got %q", got)
	}
	if hide([]string{"", "abc"}) != nil || clean("abc", nil) != "abc" {
		t.Error("what is too short is taken for a secret")
	}
}
