package client

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

func TestVerifyWebhook(t *testing.T) {
	const body = `{"event_id":"fast/0-7-9","task_id":"t","user_id":"u","kind":"state","status":"completed"}`
	oldKey, newKey := strings.Repeat("a", 32), strings.Repeat("b", 32) // 24 bytes each
	sign := func(at time.Time, keys ...string) http.Header {
		h := http.Header{}
		h.Set(schemas.WebhookID, "fast/0-7-9")
		h.Set(schemas.WebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
		var all []string
		for _, key := range keys {
			secret, err := schemas.ParseWebhookSecret(key)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, secret.Sign("fast/0-7-9", at, []byte(body)))
		}
		h.Set(schemas.WebhookSignature, strings.Join(all, " "))
		return h
	}
	now := time.Now()
	other := sign(now, newKey)
	other.Set(schemas.WebhookID, "fast/0-7-10")
	bare := sign(now, newKey)
	bare.Del(schemas.WebhookTimestamp)
	for name, test := range map[string]struct {
		header  http.Header
		body    string
		secrets []string
		want    error
	}{
		"good":                    {sign(now, newKey), body, []string{newKey}, nil},
		"while it changes":        {sign(now, oldKey, newKey), body, []string{"whsec_" + newKey}, nil},
		"the receiver's":          {sign(now, oldKey), body, []string{newKey, oldKey}, nil},
		"beside one that is none": {sign(now, newKey), body, []string{"#", newKey}, nil},
		"a clock that lags":       {sign(now.Add(WebhookTolerance-time.Minute), newKey), body, []string{newKey}, nil},
		"another secret":          {sign(now, oldKey), body, []string{newKey}, ErrNotVerified},
		"no secret":               {sign(now, oldKey), body, nil, ErrNotVerified},
		"another body":            {sign(now, newKey), body + " ", []string{newKey}, ErrNotVerified},
		"another id":              {other, body, []string{newKey}, ErrNotVerified},
		"old": {sign(now.Add(-WebhookTolerance-time.Minute), newKey), body, []string{newKey},
			ErrNotVerified},
		"from the future": {sign(now.Add(WebhookTolerance+time.Minute), newKey), body, []string{newKey},
			ErrNotVerified},
		"no time": {bare, body, []string{newKey}, ErrNotVerified},
		"nothing": {http.Header{}, body, []string{newKey}, ErrNotVerified},
	} {
		event, err := VerifyWebhook(test.header, []byte(test.body), test.secrets...)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err == nil && (event.EventID != "fast/0-7-9" || event.Status != schemas.Completed) {
			t.Errorf("%s: %+v", name, event)
		}
	}
	for _, secrets := range [][]string{{"short"}, {"short", oldKey}, {oldKey, "short"}} {
		if _, err := VerifyWebhook(sign(now, newKey), []byte(body), secrets...); err == nil ||
			errors.Is(err, ErrNotVerified) {
			t.Errorf("a secret that is none, of %d: %v", len(secrets), err)
		}
	}
}

func TestReadWebhookSecrets(t *testing.T) {
	first, second := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for content, want := range map[string][]string{
		"# current\n" + first + "\n\n# next\r\n whsec_" + second + "\r\n": {"whsec_" + first, "whsec_" + second},
		first: {"whsec_" + first}, "": nil, "# only\n": nil, first + "\nshort\n": nil,
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadWebhookSecrets(path)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %q, %v", content, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), first)) {
			t.Errorf("the error is %v", err)
		}
	}
	if _, err := ReadWebhookSecrets(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
