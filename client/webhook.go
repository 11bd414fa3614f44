package client

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// WebhookTolerance is how far the time of a webhook may be from this clock. What
// is older may have been recorded and sent again by somebody else.
const WebhookTolerance = 5 * time.Minute

// ErrNotVerified is why a request is not taken for a webhook. Answer it with 401.
var ErrNotVerified = errors.New("not a webhook of this installation")

// ReadWebhookSecrets reads the secrets for [VerifyWebhook] from a file as notifiers
// take it with --webhook-secret-file: one a line, and comments behind #.
func ReadWebhookSecrets(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read webhook secrets: %w", err)
	}
	secrets, err := schemas.ParseWebhookSecrets(content)
	if err != nil {
		return nil, fmt.Errorf("read webhook secrets: %s: %w", path, err)
	}
	texts := make([]string, len(secrets))
	for i, secret := range secrets {
		texts[i] = secret.Text()
	}
	return texts, nil
}

// VerifyWebhook checks that a request to a callback_url was made by an
// installation that has one of the secrets, and returns the terminal event. The
// body has to be the bytes as they arrived; limit what you read, 2 MiB is enough.
//
// A secret that cannot be read is passed over, and is the error if no other one
// verifies.
//
// The same event may arrive more than once, with the same EventID: answer 2xx to
// what was handled before. See docs/WEBHOOKS.md.
func VerifyWebhook(header http.Header, body []byte, secrets ...string) (*schemas.Event, error) {
	id, at := header.Get(schemas.WebhookID), header.Get(schemas.WebhookTimestamp)
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" {
		return nil, fmt.Errorf("%w: it has no %s or %s", ErrNotVerified, schemas.WebhookID, schemas.WebhookTimestamp)
	}
	if off := time.Since(time.Unix(seconds, 0)).Abs(); off > WebhookTolerance {
		return nil, fmt.Errorf("%w: its time is %s away from this clock", ErrNotVerified, off.Round(time.Second))
	}
	var unreadable error
	for _, text := range secrets {
		secret, err := schemas.ParseWebhookSecret(text)
		if err != nil {
			unreadable = cmp.Or(unreadable, fmt.Errorf("read secret: %w", err))
			continue
		}
		if secret.Verify(id, at, body, header.Get(schemas.WebhookSignature)) {
			return schemas.DecodeEvent(body)
		}
	}
	if unreadable != nil {
		return nil, unreadable
	}
	return nil, fmt.Errorf("%w: no signature is of a secret that is known here", ErrNotVerified)
}
