package broker_test

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/dirlock"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

func TestNewRefusesOtherThanLoopback(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "127.8.9.10:9092", "[::1]:9092", "localhost:9092", ""} {
		if _, err := broker.New(broker.Config{Addr: addr}); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, addr := range []string{"0.0.0.0:9092", ":9092", "[::]:9092", "10.0.0.1:9092", "example.com:9092"} {
		_, err := broker.New(broker.Config{Addr: addr})
		if !errors.Is(err, broker.ErrNotLoopback) || !strings.Contains(err.Error(), "--brokers") {
			t.Errorf("%s: got %v, want ErrNotLoopback and the way out", addr, err)
		}
	}
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", "127.0.0.1:-1"} {
		if _, err := broker.New(broker.Config{Addr: addr}); err == nil {
			t.Errorf("%s: accepted", addr)
		}
	}
}

func TestRunNamesTheFlagWhenThePortIsTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b, err := broker.New(broker.Config{Addr: ln.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--broker-addr") {
		t.Errorf("got %v, want the flag to change", err)
	}
}

func TestRunRefusesADirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	_, stop := kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	second, err := broker.New(broker.Config{Addr: "127.0.0.1:0", DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	err = second.Run(t.Context())
	if !errors.Is(err, dirlock.ErrInUse) {
		t.Fatalf("got %v, want dirlock.ErrInUse", err)
	}
	for _, part := range []string{dir, "process " + strconv.Itoa(os.Getpid()), "--data-dir"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	stop()
	kafkatest.StartEmbedded(t, broker.Config{DataDir: dir}) // free again
}
