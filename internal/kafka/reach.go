package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka/security"
	"github.com/aiecs/tasklane/internal/pace"
)

// ErrUnreachable is wrapped by errors that mean that no broker answered.
var ErrUnreachable = errors.New("no Kafka broker answers")

const (
	// reachTimeout is how long Reach tries. It covers a broker that is just being started.
	reachTimeout = 10 * time.Second
	reachPause   = 200 * time.Millisecond
)

// Reach waits until a broker answers a client that was made with that security. After 10 s, or when ctx ends, the
// error wraps ErrUnreachable and the last reason, and names the addresses. A refusal that waiting does not change,
// such as that of a wrong password, ends it at once; the error is an [security.AccessError] then.
func Reach(ctx context.Context, cl *kgo.Client, s *security.Security) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	late, _ := ctx.Deadline()
	var last error
	for {
		err := s.Explain(cl.Ping(ctx))
		if err == nil {
			return nil
		}
		// The end of the time says less than the refusal before it. What is under way then may end before ctx does.
		if last == nil || ctx.Err() == nil && time.Now().Before(late) {
			last = err
		}
		var access *security.AccessError
		refused := errors.As(last, &access)
		if refused && access.Final || !pace.Sleep(ctx, reachPause) {
			if refused {
				return fmt.Errorf("reach Kafka at %s with %s: %w: %w", Seeds(cl), s.Describe(), ErrUnreachable, last)
			}
			if address := httpServer(ctx, cl); address != "" {
				return fmt.Errorf("reach Kafka at %s: %w: an HTTP server answers at %s; give the brokers' own with --brokers",
					Seeds(cl), ErrUnreachable, address)
			}
			return fmt.Errorf("reach Kafka at %s: %w: %w; check --brokers and that the broker is running",
				Seeds(cl), ErrUnreachable, last)
		}
	}
}

// httpServer is the first of the client's addresses at which an HTTP server answers, "" if none does: what was sent
// to it as Kafka's is for it the beginning of a request, and it waits for more. It is asked once the time of ctx is
// up, for at most three seconds, and not when the caller has given up.
func httpServer(ctx context.Context, cl *kgo.Client) string {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	for _, address := range seeds(cl) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			continue
		}
		late, _ := ctx.Deadline()
		answer := make([]byte, len("HTTP/"))
		if conn.SetDeadline(late) == nil {
			if _, err = conn.Write([]byte("HEAD / HTTP/1.0\r\n\r\n")); err == nil {
				_, err = io.ReadFull(conn, answer)
			}
		}
		conn.Close()
		if err == nil && string(answer) == "HTTP/" {
			return address
		}
	}
	return ""
}

// Seeds are the addresses that the client was given.
func Seeds(cl *kgo.Client) string { return strings.Join(seeds(cl), ", ") }

func seeds(cl *kgo.Client) []string {
	addresses, _ := cl.OptValue(kgo.SeedBrokers).([]string)
	return addresses
}
