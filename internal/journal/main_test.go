package journal

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Property tests take the same cases every time, unless a seed is given.
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	factor, err := effortFactor()
	if err != nil {
		fmt.Fprintln(os.Stderr, "read TASKLANE_TEST_EFFORT:", err)
		os.Exit(2)
	}
	checks := strconv.Itoa(max(1, int(2000*factor)))
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.checks": checks, "rapid.nofailfile": "true"} {
		if given[name] {
			continue
		}
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, "set", name, err)
			os.Exit(2)
		}
	}
	goleak.VerifyTestMain(m)
}
