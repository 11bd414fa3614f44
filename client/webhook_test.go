package client

import (
	"errors"
	"net/http"
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
		"good":              {sign(now, newKey), body, []string{newKey}, nil},
		"while it changes":  {sign(now, oldKey, newKey), body, []string{"whsec_" + newKey}, nil},
		"the receiver's":    {sign(now, oldKey), body, []string{newKey, oldKey}, nil},
		"a clock that lags": {sign(now.Add(WebhookTolerance-time.Minute), newKey), body, []string{newKey}, nil},
		"another secret":    {sign(now, oldKey), body, []string{newKey}, ErrNotVerified},
		"no secret":         {sign(now, oldKey), body, nil, ErrNotVerified},
		"another body":      {sign(now, newKey), body + " ", []string{newKey}, ErrNotVerified},
		"another id":        {other, body, []string{newKey}, ErrNotVerified},
		"old":               {sign(now.Add(-WebhookTolerance-time.Minute), newKey), body, []string{newKey}, ErrNotVerified},
		"from the future":   {sign(now.Add(WebhookTolerance+time.Minute), newKey), body, []string{newKey}, ErrNotVerified},
		"no time":           {bare, body, []string{newKey}, ErrNotVerified},
		"nothing":           {http.Header{}, body, []string{newKey}, ErrNotVerified},
	} {
		event, err := VerifyWebhook(test.header, []byte(test.body), test.secrets...)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err == nil && (event.EventID != "fast/0-7-9" || event.Status != schemas.Completed) {
			t.Errorf("%s: %+v", name, event)
		}
	}
	if _, err := VerifyWebhook(sign(now, newKey), []byte(body), "short"); err == nil || errors.Is(err, ErrNotVerified) {
		t.Errorf("a secret that is none: %v", err)
	}
}
