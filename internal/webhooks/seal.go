package webhooks

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// sealID takes the place of a webhook's id in a seal, and the time is that of no
// request: a seal is no signature that a receiver takes, nor the other way round.
const sealID = "task-webhooks"

var errNotSealed = errors.New("it is not sealed with a webhook secret that is known here: it is forged, or all " +
	"secrets were replaced at once")

// seal signs what an entry says, once with each secret. Whoever can write to
// task-webhooks could have anything posted with our signature otherwise.
func seal(secrets []schemas.WebhookSecret, e *entry) string {
	content := e.content()
	seals := make([]string, len(secrets))
	for i, secret := range secrets {
		seals[i] = secret.Sign(sealID, time.Unix(0, 0), content)
	}
	return strings.Join(seals, " ")
}

// sealed reports whether a seal is one of these secrets'.
func sealed(secrets []schemas.WebhookSecret, e *entry, seal string) bool {
	content := e.content()
	for _, secret := range secrets {
		if secret.Verify(sealID, "0", content, seal) {
			return true
		}
	}
	return false
}

// content is all that an entry says, so that two that differ have different ones.
func (e *entry) content() []byte {
	var created, due int64
	if e.outcome == "" {
		created, due = e.created.UnixNano(), e.due.UnixNano()
	}
	head := fmt.Appendf(nil, "%d %q %q %q %q %d %d %d ", e.partition, e.id, e.user, e.outcome, e.url, e.tries, created,
		due)
	return append(head, e.body...)
}
