package shard

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	factor, err := effortFactor()
	if err != nil {
		fmt.Fprintln(os.Stderr, "read TASKLANE_TEST_EFFORT:", err)
		os.Exit(2)
	}
	rapidtest.Main(m, max(1, int(2000*factor)))
}
