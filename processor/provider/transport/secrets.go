package transport

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	minSecret   = 4 // shorter ones would be found everywhere
	maxText     = 1000
	replacement = "[secret]"
)

// keyLike are what providers' keys and tokens look like, for those that nobody named.
var keyLike = regexp.MustCompile(`(?i)\b(?:bearer|basic) +[^\s"',;]{8,}|\b(?:sk|xai|pk)-[A-Za-z0-9_-]{16,}` +
	`|\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9._-]{10,}|//[^/\s:@]+:[^/\s@]+@`)

// secrets are all that a provider is set up with and nobody is to see.
func (c Config) secrets() []string {
	secrets := append(slices.Clone(c.Secrets), c.APIKey)
	for _, value := range c.Headers {
		secrets = append(secrets, value)
	}
	secrets = append(secrets, secretsOfURL(c.BaseURL)...)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		if proxy, err := url.Parse(os.Getenv(name)); err == nil {
			secrets = append(secrets, secretsOfURL(proxy)...)
		}
	}
	return secrets
}

// secretsOfURL are the user's name and the password: where there is one, the name may be the key.
func secretsOfURL(u *url.URL) []string {
	if u == nil || u.User == nil {
		return nil
	}
	password, _ := u.User.Password()
	return []string{u.User.Username(), password}
}

// secretsOfHeaders are the keys that a request carries.
func secretsOfHeaders(h http.Header) []string {
	var secrets []string
	for _, name := range []string{"Authorization", "Proxy-Authorization", "X-Api-Key", "X-Goog-Api-Key", "Api-Key"} {
		for _, value := range h.Values(name) {
			if scheme, key, ok := strings.Cut(value, " "); ok && !strings.Contains(scheme, "=") {
				value = key
			}
			secrets = append(secrets, value)
			if pair, err := base64.StdEncoding.DecodeString(value); err == nil { // as Basic has it
				user, password, _ := strings.Cut(string(pair), ":")
				secrets = append(secrets, user, password)
			}
		}
	}
	return secrets
}

// hide is what finds secrets in texts, in whatever form they stand there; nil if there are none.
func hide(secrets []string) *regexp.Regexp {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < minSecret })
	// One that begins with another goes first: of several that fit, the first is taken.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var forms []string
	for _, secret := range slices.Compact(secrets) {
		forms = append(forms, escaped(secret))
		forms = append(forms, encoded(secret)...)
	}
	if len(forms) == 0 {
		return nil
	}
	return regexp.MustCompile(strings.Join(forms, "|"))
}

// escaped matches a text as it is, and with any of its characters escaped as in URLs or JSON, once or again and again.
// Nobody escapes letters, digits and -._~.
func escaped(text string) string {
	var form strings.Builder
	for _, r := range text {
		if unreserved(r) {
			form.WriteString(regexp.QuoteMeta(string(r)))
			continue
		}
		var percent string
		for _, b := range []byte(string(r)) {
			percent += fmt.Sprintf("%%(?:25)*%02x", b)
		}
		form.WriteString(`(?:\\*` + regexp.QuoteMeta(string(r)) + `|(?i:` + percent + fmt.Sprintf(`|\\+u%04x`, r) + `)`)
		if short := strings.IndexRune("\b\t\n\f\r", r); short >= 0 {
			form.WriteString(`|\\+` + "btnfr"[short:short+1])
		}
		if r == ' ' {
			form.WriteString(`|\+|(?i:%(?:25)*2b)`)
		}
		form.WriteString(")")
	}
	return form.String()
}

func unreserved(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~", r)
}

// encoded match a text in base64 of either alphabet, wherever it stands in what was encoded, as behind a name: in
// each of the three ways in which its bits can fall, without the characters that have bits of its neighbours.
func encoded(text string) (forms []string) {
	for before := range 3 {
		all := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:before] + text))
		own := all[(before*8+5)/6 : (before+len(text))*8/6]
		forms = append(forms, strings.NewReplacer("+", `(?:[+-]|(?i:%2b))`, "/", `(?:_|\\*/|(?i:%2f))`).Replace(own))
	}
	return forms
}

// clean is a provider's text as it may be shown: without secrets, in valid UTF-8, of moderate length.
func clean(text string, secrets ...*regexp.Regexp) string {
	for _, secret := range secrets {
		if secret != nil {
			text = secret.ReplaceAllString(text, replacement)
		}
	}
	text = keyLike.ReplaceAllString(text, replacement)
	text = strings.ToValidUTF8(strings.TrimSpace(text), "\uFFFD")
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}

// Clean is a text of a server as it may be shown: without these secrets, in valid UTF-8, of moderate length.
func Clean(text string, secrets ...string) string { return clean(text, hide(secrets)) }
