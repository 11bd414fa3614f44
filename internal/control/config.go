package control

import (
	"fmt"
	"log/slog"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// Config says where the topic is. Kafka.Brokers is required.
type Config struct {
	Kafka  kafka.Config
	Topics schemas.Topics
	// Role is the reader's name in its metrics: two roles of one process have
	// one each.
	Role   string
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if err := c.Kafka.Validate(); err != nil {
		return Config{}, fmt.Errorf("configure controls: %w", err)
	}
	if c.Role == "" {
		c.Role = "other"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
