package schemas

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Headers of a webhook's request, by the Standard Webhooks specification (docs/WEBHOOKS.md).
const (
	WebhookID        = "webhook-id"        // the event_id; the same at every try
	WebhookTimestamp = "webhook-timestamp" // when this try was made, in Unix seconds
	WebhookSignature = "webhook-signature" // "v1,…" for every secret, separated by spaces
)

// Bounds on a webhook's secret, in bytes before base64.
const (
	minWebhookSecretBytes = 24
	maxWebhookSecretBytes = 64
)

// webhookSecretPrefix tells a secret from other base64. It may be left out.
const webhookSecretPrefix = "whsec_"

const webhookVersion = "v1,"

// WebhookSecret is what sender and receiver of webhooks share.
type WebhookSecret struct{ key []byte }

// ParseWebhookSecret reads a secret as it stands in files and settings: base64 of
// 24 to 64 bytes, with or without "whsec_" before it. No error quotes it.
func ParseWebhookSecret(text string) (WebhookSecret, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, webhookSecretPrefix))
	switch {
	case err != nil:
		return WebhookSecret{}, errors.New("a webhook secret is base64, with or without whsec_ before it; make " +
			"one with: openssl rand -base64 32")
	case len(key) < minWebhookSecretBytes || len(key) > maxWebhookSecretBytes:
		return WebhookSecret{}, errors.New("a webhook secret has " + strconv.Itoa(minWebhookSecretBytes) + " to " +
			strconv.Itoa(maxWebhookSecretBytes) +
			" bytes and this one " + strconv.Itoa(len(key)) + "; make one with: openssl rand -base64 32")
	}
	return WebhookSecret{key}, nil
}

// ParseWebhookSecrets reads what a file of secrets has: one a line. Empty lines
// and those that start with # say nothing.
func ParseWebhookSecrets(content []byte) ([]WebhookSecret, error) {
	var secrets []WebhookSecret
	n := 0
	for line := range strings.Lines(string(content)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		secret, err := ParseWebhookSecret(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		return nil, errors.New("there is no secret in it; make one with: openssl rand -base64 32")
	}
	return secrets, nil
}

// NewWebhookSecret is the secret with these bytes.
func NewWebhookSecret(key []byte) (WebhookSecret, error) {
	return ParseWebhookSecret(base64.StdEncoding.EncodeToString(key))
}

// Text is the form that [ParseWebhookSecret] reads.
func (s WebhookSecret) Text() string {
	return webhookSecretPrefix + base64.StdEncoding.EncodeToString(s.key)
}

// String hides the secret, so that none is logged by accident.
func (s WebhookSecret) String() string { return webhookSecretPrefix + "…" }

// Sign is the signature of one try: HMAC-SHA256 over id, time and body.
func (s WebhookSecret) Sign(id string, at time.Time, body []byte) string {
	return webhookVersion + base64.StdEncoding.EncodeToString(s.sum(id, strconv.FormatInt(at.Unix(), 10), body))
}

func (s WebhookSecret) sum(id, at string, body []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// Verify reports whether one of the signatures in a webhook-signature header is this secret's. At is the text of the
// webhook-timestamp header; whether that time is near enough is not looked at.
func (s WebhookSecret) Verify(id, at string, body []byte, signatures string) bool {
	if len(s.key) == 0 {
		return false
	}
	want := s.sum(id, at, body)
	for one := range strings.FieldsSeq(signatures) {
		encoded, ok := strings.CutPrefix(one, webhookVersion)
		if !ok {
			continue // of another version
		}
		if given, err := base64.StdEncoding.DecodeString(encoded); err == nil && hmac.Equal(given, want) {
			return true
		}
	}
	return false
}

// WebhookOutcome says that a task's end was not posted to its callback_url and will not be: it is a dead letter.
type WebhookOutcome struct {
	Status string `json:"status"` // WebhookFailed
	// Error is why: what the receiver answered, or why its address may not be posted to.
	Error string `json:"error"`
	// Tries is how often it was tried in vain.
	Tries int  `json:"tries"`
	Time  Time `json:"time"`
}

// WebhookFailed is the status of a webhook that was given up.
const WebhookFailed = "failed"

// callbackPattern is the one in task.schema.json; a test compares the two. It has
// no user and password: a URL is shown in places where those must not be.
var callbackPattern = regexp.MustCompile(`^[Hh][Tt][Tt][Pp][Ss]?://` +
	`([A-Za-z0-9_~-]+(\.[A-Za-z0-9_~-]+)*\.?|\[[0-9A-Fa-f:.]{2,45}\])` +
	`(:0{0,4}([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?` + // 1 to 65535
	`([/?#]([!-$&-~]|%[0-9A-Fa-f]{2})*)?$`)

func isCallback(s string) bool { return callbackPattern.MatchString(s) }

// hasAddress reports whether the part in brackets, if there is one, is an IPv6 address.
func hasAddress(u *url.URL) bool {
	if !strings.HasPrefix(u.Host, "[") {
		return true
	}
	address, err := netip.ParseAddr(u.Hostname())
	return err == nil && address.Is6()
}

// checkCallback wants what a delivery can be made to. url.Parse alone is too
// kind: it takes spaces, other alphabets and lone percent signs.
func checkCallback(s string) string {
	if s == "" {
		return ""
	}
	if p := checkLength(s, maxURLChars); p != "" {
		return p
	}
	if u, err := url.Parse(s); err != nil || !isCallback(s) || !hasAddress(u) {
		return "must be an absolute http or https URL in ASCII such as https://example.org/hook, a port between 1 and " +
			"65535 if there is one, without user and password, other characters percent-encoded"
	}
	return ""
}
