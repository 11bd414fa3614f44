package main

import (
	"context"
	"path/filepath"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/ssrf"
	"github.com/aiecs/tasklane/internal/webhooks"
	"github.com/aiecs/tasklane/schemas"
)

// webhooksPart posts terminal events to callback URLs. It begins before the notifier,
// which shows its metrics and health, and ends after it.
func (w *wiring) webhooksPart() part {
	return part{name: "webhooks", stopWithin: webhooks.DefaultDrainTimeout + cutOffTime,
		build: func(context.Context) (role, error) {
			allow, err := ssrf.ParseAllow(webhooks.AllowOption, w.webhookAllow)
			if err != nil {
				return nil, cli.AsUsage(err)
			}
			secrets, err := w.webhookSecrets()
			if err != nil {
				return nil, cli.AsUsage(err)
			}
			if len(secrets) == 0 {
				return nil, nil
			}
			w.webhooks, err = webhooks.New(webhooks.Config{
				Kafka: w.kafka("webhooks"), Topics: w.topics(), Secrets: secrets, Allow: allow, Logger: w.logger("webhooks"),
			})
			if err != nil {
				return nil, cli.AsUsage(err)
			}
			return w.webhooks, nil
		}}
}

// webhookSecrets are what webhooks are signed with, none where they are not posted.
// Where the broker is embedded there is one process, and it makes a secret of its own.
// Elsewhere there may be several, and all must sign alike: one that has no secret
// leaves it to the others.
func (w *wiring) webhookSecrets() ([]schemas.WebhookSecret, error) {
	if w.webhookSecretFile != "" {
		return webhooks.ReadSecrets(w.webhookSecretFile)
	}
	log := w.logger("webhooks")
	if w.brokerRole == nil {
		log.Warn("webhooks are off here: callback URLs wait for a notifier with --webhook-secret-file")
		return nil, nil
	}
	path := filepath.Join(w.dataDir, "webhook-secret")
	log.Info("webhooks are signed with this installation's own secret", "file", path)
	return webhooks.OwnSecret(path)
}
