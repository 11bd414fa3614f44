package broker_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/rapidtest"
)

// childEnv makes the test binary run a broker instead of tests, so that a test
// can kill one for real. Its value is childGuarded, childTidy (the same with
// upkeep all the time) or childBare.
const (
	childEnv     = "TASKLANE_BROKER_TEST_CHILD"
	childDirEnv  = "TASKLANE_BROKER_TEST_DIR"
	childGuarded = "guarded"
	childTidy    = "tidy"
	childBare    = "bare"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case childGuarded:
		os.Exit(runGuardedChild(0))
	case childTidy:
		os.Exit(runGuardedChild(10 * time.Millisecond))
	case childBare:
		os.Exit(runBareChild())
	}
	rapidtest.Main(m, 0)
}

// runGuardedChild runs the broker on childDirEnv, prints its address and serves
// until standard input closes.
func runGuardedChild(upkeepEvery time.Duration) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0", DataDir: os.Getenv(childDirEnv)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if upkeepEvery > 0 {
		b.SetUpkeepEvery(upkeepEvery)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is the signal, with or without an error
		cancel()
	}()
	go func() {
		<-b.Ready()
		fmt.Println(b.Addr())
	}()
	if err := b.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// runBareChild runs the engine without the guard.
func runBareChild() int {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer cluster.Close()
	fmt.Println(cluster.ListenAddrs()[0])
	_, _ = io.Copy(io.Discard, os.Stdin) // its end is the signal, with or without an error
	return 0
}
