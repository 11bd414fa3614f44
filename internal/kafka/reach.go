package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/pace"
)

// ErrUnreachable is wrapped by errors that mean that no broker answered.
var ErrUnreachable = errors.New("no Kafka broker answers")

const (
	// reachTimeout is how long Reach tries. It covers a broker that is just
	// being started.
	reachTimeout = 10 * time.Second
	reachPause   = 200 * time.Millisecond
)

// Reach waits until a broker answers. After 10 s, or when ctx ends, the error
// wraps ErrUnreachable and the last reason, and names the addresses.
func Reach(ctx context.Context, cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	var last error
	for {
		err := cl.Ping(ctx)
		if err == nil {
			return nil
		}
		// The end of ctx says less than the refusal before it.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if !pace.Sleep(ctx, reachPause) {
			return fmt.Errorf("reach Kafka at %s: %w: %w; check --brokers and that the broker is running",
				seeds(cl), ErrUnreachable, last)
		}
	}
}

// seeds are the addresses that the client was given.
func seeds(cl *kgo.Client) string {
	addrs, _ := cl.OptValue(kgo.SeedBrokers).([]string)
	return strings.Join(addrs, ", ")
}
