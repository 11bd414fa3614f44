// Package rapidtest makes property tests take the same cases every time, finds goroutines that tests leave behind, and
// measures what code costs.
package rapidtest

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// Checks is how many cases a property test tries where nothing calls for more.
const Checks = 100

// Main is what a package's TestMain does: its property tests try so many cases (0 if it has none), always the same
// unless the command line gives a seed (0: another one each time), and no goroutine is left over. A change is judged
// by the same cases as the last one; the search for new ones is a run of its own.
func Main(m *testing.M, checks int, leftOver ...goleak.Option) {
	if checks > 0 {
		if err := setFlags(flag.CommandLine, checks); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	code := m.Run()
	if code == 0 {
		if err := settled(func() error { return goleak.Find(leftOver...) }); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left over:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// settled is what is left over after some seconds: goleak looks for less than one, in which what has been told to end
// may not have come to it on a busy machine.
func settled(look func() error) (err error) {
	for range 10 {
		if err = look(); err == nil {
			return nil
		}
	}
	return err
}

// setFlags sets rapid's flags that the command line does not.
func setFlags(flags *flag.FlagSet, checks int) error {
	if !flags.Parsed() {
		if err := flags.Parse(os.Args[1:]); err != nil {
			return err
		}
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{
		"rapid.seed": "1", "rapid.checks": strconv.Itoa(checks), "rapid.nofailfile": "true",
	} {
		if given[name] {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}
