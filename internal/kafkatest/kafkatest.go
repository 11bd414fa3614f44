package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafka"
)

// BrokersEnv names the environment variable with the brokers to test on.
const BrokersEnv = "TASKLANE_TEST_BROKERS"

// startTimeout bounds the start of the embedded broker, which takes milliseconds unless the machine is overloaded.
const startTimeout = 2 * time.Minute

// Start returns the brokers to use, a comma list of host:port. Without BrokersEnv it starts an embedded broker in
// memory for this test alone and stops it at cleanup, after the clients made later in the same test.
func Start(t testing.TB) string {
	t.Helper()
	if External() {
		return os.Getenv(BrokersEnv)
	}
	addr, _ := StartEmbedded(t, broker.Config{})
	return addr
}

// StartEmbedded runs an embedded broker, whatever cluster other tests use, until cleanup or until stop is called.
func StartEmbedded(t testing.TB, c broker.Config) (addr string, stop func()) {
	t.Helper()
	c.Addr = "127.0.0.1:0"
	b, err := broker.New(c)
	if err != nil {
		t.Fatalf("configure broker: %v", err)
	}
	stop = Run(t, b)
	return b.Addr(), stop
}

// External reports whether Start returns a real Apache Kafka. Tests of things only one of the two can do ask for it.
func External() bool { return os.Getenv(BrokersEnv) != "" }

// Run runs an embedded broker until cleanup, or until the returned function is called, and returns when it is ready.
// Use it for a broker with a data directory; use Start otherwise.
func Run(t testing.TB, b *broker.Broker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		err = b.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	select {
	case <-b.Ready():
	case <-done:
		t.Fatalf("run broker: %v", err)
	case <-time.After(startTimeout):
		t.Fatalf("broker is not ready after %s", startTimeout)
	}
	return stop
}

// unfit matches what topic names may not contain.
var unfit = regexp.MustCompile(`[^A-Za-z0-9]+`)

// Prefix returns a prefix for topics and groups that no other test or run has, ending in a dot. It starts with the
// test's name, so leftovers on a shared cluster say where they come from.
func Prefix(t testing.TB) string {
	t.Helper()
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		t.Fatalf("read random bytes: %v", err)
	}
	name := strings.Trim(unfit.ReplaceAllString(t.Name(), "-"), "-")
	if len(name) > 60 {
		name = name[:60]
	}
	return name + "-" + hex.EncodeToString(random[:]) + "."
}

// Client returns a client of the brokers (a comma list) that is closed at cleanup. It is plain kgo with a short
// metadata age, without the product's options, so that it also serves to check those.
func Client(t testing.TB, brokers string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	base := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(brokers, ",")...),
		kgo.MetadataMinAge(10 * time.Millisecond),
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		t.Fatalf("make client: %v", err)
	}
	t.Cleanup(func() { kafka.Close(cl) })
	return cl
}
