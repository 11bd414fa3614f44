package rapidtest

import (
	"errors"
	"flag"
	"testing"
)

// TestSetFlags: what the command line says stays, and the rest is always the same.
func TestSetFlags(t *testing.T) {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	seed := flags.Uint64("rapid.seed", 0, "")
	checks := flags.Int("rapid.checks", 100, "")
	quiet := flags.Bool("rapid.nofailfile", false, "")
	if err := flags.Parse([]string{"-rapid.seed=7"}); err != nil {
		t.Fatal(err)
	}
	if err := setFlags(flags, 2000); err != nil {
		t.Fatal(err)
	}
	if *seed != 7 || *checks != 2000 || !*quiet {
		t.Errorf("seed %d, checks %d, no file %v", *seed, *checks, *quiet)
	}
	if err := flags.Parse([]string{"-rapid.checks=5"}); err != nil {
		t.Fatal(err)
	}
	if err := setFlags(flags, 2000); err != nil || *checks != 5 {
		t.Errorf("checks %d, %v", *checks, err)
	}
}

// TestSetFlagsWithoutRapid: a package that does not import rapid is told so.
func TestSetFlagsWithoutRapid(t *testing.T) {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	if err := flags.Parse(nil); err != nil {
		t.Fatal(err)
	}
	if err := setFlags(flags, 1); err == nil {
		t.Error("flags that are not there were set")
	}
}

// TestSettled: what ends within some looks is not left over; what goes on is.
func TestSettled(t *testing.T) {
	there := errors.New("a goroutine")
	looks := 0
	look := func(ends int) func() error {
		looks = 0
		return func() error {
			if looks++; looks > ends {
				return nil
			}
			return there
		}
	}
	if err := settled(look(3)); err != nil || looks != 4 {
		t.Errorf("what ends is left over after %d looks: %v", looks, err)
	}
	if err := settled(look(1000)); !errors.Is(err, there) || looks != 10 {
		t.Errorf("what goes on is not found by %d looks: %v", looks, err)
	}
}
