package producer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/producer/api"
)

// What may be on its lane is never called refused: its sender would send it again under
// another id, and it would run twice. What is certainly not there is not called unknown.
func TestWhatIsSaidOfRecords(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want error
	}{
		{kerr.MessageTooLarge, api.ErrTooLarge}, {kerr.RecordListTooLarge, api.ErrTooLarge},
		{kgo.ErrMaxBuffered, api.ErrRefused}, {kerr.UnknownTopicOrPartition, api.ErrRefused},
		{kerr.TopicAuthorizationFailed, api.ErrRefused},
		{kerr.PolicyViolation, api.ErrRefused}, {kerr.NotEnoughReplicas, api.ErrRefused},
		{kerr.NotEnoughReplicasAfterAppend, api.ErrUnknownOutcome}, {kerr.RequestTimedOut, api.ErrUnknownOutcome},
		{kgo.ErrRecordTimeout, api.ErrUnknownOutcome}, {kgo.ErrRecordRetries, api.ErrUnknownOutcome},
		{io.ErrUnexpectedEOF, api.ErrUnknownOutcome}, {&net.OpError{Op: "read", Err: errors.New("reset")},
			api.ErrUnknownOutcome},
	} {
		got := judgeProduce(fmt.Errorf("produce: %w", tt.err))
		for _, one := range []error{api.ErrTooLarge, api.ErrRefused, api.ErrUnknownOutcome} {
			if errors.Is(got, one) != errors.Is(tt.want, one) {
				t.Errorf("%v is %v, want %v", tt.err, got, tt.want)
			}
		}
		if !errors.Is(got, tt.err) {
			t.Errorf("%v has lost its cause %v", got, tt.err)
		}
	}
}

func TestDefaults(t *testing.T) {
	c, err := Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9"}}, Lanes: []string{"fast"}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != DefaultAddr || c.ProduceTimeout != 5*time.Second || c.DrainTimeout != 10*time.Second ||
		c.MaxInFlight != 10_000 ||
		c.MaxInFlightBytes != 64<<20 || c.MaxConnections != 10_000 || c.Logger == nil {
		t.Errorf("%+v", c)
	}
	given := Config{
		Kafka: c.Kafka, Lanes: c.Lanes, Addr: "127.0.0.1:0", ProduceTimeout: 1, DrainTimeout: 2, MaxInFlight: 3,
		MaxInFlightBytes: 4,
		MaxConnections:   5,
	}
	kept, err := given.withDefaults()
	if err != nil || kept.Addr != given.Addr || kept.ProduceTimeout != 1 || kept.DrainTimeout != 2 ||
		kept.MaxInFlight != 3 ||
		kept.MaxInFlightBytes != 4 || kept.MaxConnections != 5 {
		t.Errorf("%+v, %v", kept, err)
	}
	for name, change := range map[string]func(*Config){
		"in flight":   func(c *Config) { c.MaxInFlight = -1 },
		"bytes":       func(c *Config) { c.MaxInFlightBytes = -1 },
		"connections": func(c *Config) { c.MaxConnections = -1 },
		"drain":       func(c *Config) { c.DrainTimeout = -1 },
		"a port":      func(c *Config) { c.Addr = "127.0.0.1:65536" },
	} {
		wrong := given
		change(&wrong)
		if _, err := wrong.withDefaults(); err == nil || !strings.HasPrefix(err.Error(), "configure producer: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever clients send, the number of series is bounded.
func TestMetricsOfRequestsAreBounded(t *testing.T) {
	p, err := New(Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9"}}, Lanes: []string{"fast"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		p.metrics.request("other", fmt.Sprint("METHOD", i), 404, time.Second)
		p.metrics.request("/v1/tasks", "POST", 202, time.Millisecond)
	}
	var text strings.Builder
	p.metrics.set.WritePrometheus(&text)
	for _, want := range []string{
		`tasklane_http_requests_total{route="other",method="other",code="404"} 100`,
		`tasklane_http_requests_total{route="/v1/tasks",method="POST",code="202"} 100`,
		`tasklane_http_request_duration_seconds_count{route="/v1/tasks",method="POST"} 100`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in\n%.2000s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "METHOD") {
		t.Error("what a client sends is a label's value")
	}
}

// Nothing is opened before Run: a role that is only made is nowhere.
func TestNewStartsNothing(t *testing.T) {
	p, err := New(Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9"}}, Lanes: []string{"fast"}})
	if err != nil || p.Addr() != "" || p.lanes != nil || p.api != nil {
		t.Errorf("%+v, %v", p, err)
	}
}
