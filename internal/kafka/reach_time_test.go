package kafka_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/security"
)

// TestReachSaysWhyAndNotThatTimeIsUp: the connection that is being made when the time is up fails by that, a
// moment before the context says so, and what was refused before it is what the operator has to know.
func TestReachSaysWhyAndNotThatTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		client, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1"), kgo.RetryTimeout(time.Millisecond),
			kgo.Dialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
				if tries++; tries < 3 {
					return nil, errors.New("this is no broker")
				}
				late, _ := ctx.Deadline()
				<-time.After(time.Until(late)) // as the net package waits
				return nil, os.ErrDeadlineExceeded
			}))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		err = kafka.Reach(t.Context(), client, new(security.Security))
		if !errors.Is(err, kafka.ErrUnreachable) || !strings.Contains(err.Error(), "this is no broker") {
			t.Errorf("the reason given is %v", err)
		}
	})
}

// TestReachSaysWhatAnswersInsteadOfABroker: an HTTP server waits for more of what it takes for a request, longer than
// a broker is waited for.
func TestReachSaysWhatAnswersInsteadOfABroker(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(server.Listener.Addr().String()),
		kgo.RequestTimeoutOverhead(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = kafka.Reach(ctx, client, new(security.Security))
	if !errors.Is(err, kafka.ErrUnreachable) || !strings.Contains(err.Error(), "an HTTP server answers") {
		t.Errorf("the reason given is %v", err)
	}
}
