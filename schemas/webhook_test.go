package schemas

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The example of the Standard Webhooks specification; its signature was computed
// by another implementation (Python's hmac).
const (
	exampleSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	exampleID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	exampleBody      = `{"test": 2432232314}`
	exampleSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestWebhookSignature(t *testing.T) {
	secret, err := ParseWebhookSecret(exampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	if got := secret.Sign(exampleID, time.Unix(1614265330, 999), []byte(exampleBody)); got != exampleSignature {
		t.Errorf("signed %s, want %s", got, exampleSignature)
	}
	wrong := "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for signatures, want := range map[string]bool{
		exampleSignature:               true,
		wrong + " " + exampleSignature: true,
		"v1a," + strings.Repeat("x", 80) + " " + exampleSignature: true,
		"": false, wrong: false, exampleSignature[3:]: false, "v2," + exampleSignature[3:]: false, "v1,": false,
		"v1,%": false,
	} {
		if got := secret.Verify(exampleID, "1614265330", []byte(exampleBody), signatures); got != want {
			t.Errorf("%q: %v, want %v", signatures, got, want)
		}
	}
	if secret.Verify(exampleID, "1614265331", []byte(exampleBody), exampleSignature) {
		t.Error("another time passes")
	}
	if (WebhookSecret{}).Verify(exampleID, "1614265330", []byte(exampleBody), exampleSignature) {
		t.Error("no secret passes")
	}
}

func TestWebhookSecretIsNotShown(t *testing.T) {
	secret, err := ParseWebhookSecret(exampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"%v", "%s", "%+v"} {
		if text := fmt.Sprintf(form, secret); strings.Contains(text, "MfKQ") {
			t.Errorf("%s shows %s", form, text)
		}
	}
	_, err = ParseWebhookSecret("whsec_not base64 MfKQ9r8")
	if err == nil || strings.Contains(err.Error(), "MfKQ") {
		t.Errorf("the error is %v", err)
	}
}

func TestWebhookSecretLength(t *testing.T) {
	for n, want := range map[int]bool{0: false, 23: false, 24: true, 32: true, 64: true, 65: false} {
		if _, err := NewWebhookSecret(make([]byte, n)); (err == nil) != want {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestWebhookSignatureCovers: a signature is of its id, time and body alone.
func TestWebhookSignatureCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 24, 64).Draw(t, "key")
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		other := rapid.SliceOf(rapid.Byte()).Draw(t, "other")
		secret, err := NewWebhookSecret(key)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseWebhookSecret(secret.Text())
		if err != nil {
			t.Fatal(err)
		}
		signature := secret.Sign("fast/3-1-2", time.Unix(1767222000, 0), body)
		if !again.Verify("fast/3-1-2", "1767222000", body, signature) {
			t.Fatal("its own signature does not pass")
		}
		if !bytes.Equal(body, other) && again.Verify("fast/3-1-2", "1767222000", other, signature) {
			t.Fatal("another body passes")
		}
	})
}

func FuzzParseWebhookSecret(f *testing.F) {
	f.Add(exampleSecret)
	f.Add("")
	f.Add("whsec_")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := ParseWebhookSecret(text)
		if err != nil {
			return
		}
		if again, err := ParseWebhookSecret(secret.Text()); err != nil || again.Text() != secret.Text() {
			t.Errorf("%q is read as %v and %v", text, secret, again)
		}
	})
}
