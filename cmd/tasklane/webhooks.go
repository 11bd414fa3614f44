package main

import (
	"path/filepath"

	"github.com/aiecs/tasklane/internal/webhooks"
)

// webhooks is how this process takes part in posting to callback URLs. Where the
// broker is embedded there is one process, and it makes a secret of its own.
// Elsewhere there may be several, and all must sign alike: one that has no secret
// leaves it to the others.
func (w *wiring) webhooks() (webhooks.Config, error) {
	allow, err := webhooks.ParseAllow(w.webhookAllow)
	if err != nil {
		return webhooks.Config{}, err
	}
	c := webhooks.Config{Allow: allow}
	switch {
	case w.webhookSecretFile != "":
		c.Secrets, err = webhooks.ReadSecrets(w.webhookSecretFile)
	case w.brokerRole != nil:
		path := filepath.Join(w.dataDir, "webhook-secret")
		w.log.Info("webhooks are signed with this installation's own secret", "file", path)
		c.Secrets, err = webhooks.OwnSecret(path)
	default:
		w.log.Warn("webhooks are off here: callback URLs wait for a notifier with --webhook-secret-file")
	}
	return c, err
}
