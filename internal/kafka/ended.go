package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Ended tells the errors of a poll that end the reading of a topic, and returns
// them with their reason, from what the client gets over by itself, which is nil.
func Ended(topic string, err error) error {
	switch {
	case IsGone(err):
		return fmt.Errorf("topic %s is gone or was made anew: %w", topic, err)
	case errors.Is(err, kgo.ErrClientClosed):
		return err
	}
	return nil
}
