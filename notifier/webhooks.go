package notifier

import "github.com/aiecs/tasklane/internal/webhooks"

// newCourier makes the part that posts terminal events to callback URLs; nil
// where it is not configured.
func newCourier(cfg Config) (*webhooks.Courier, error) {
	if !cfg.Webhooks.On() {
		return nil, nil
	}
	c := cfg.Webhooks
	c.Kafka, c.Topics, c.Logger = cfg.Kafka, cfg.Topics, cfg.Logger
	return webhooks.New(c)
}
