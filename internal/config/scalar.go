package config

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Money is an amount of dollars in picodollars: 1,000,000,000,000 are one dollar.
type Money int64

const (
	picodollars = 1_000_000_000_000
	maxDollars  = 1_000_000
)

var decimal = regexp.MustCompile(`^([0-9]{1,7})(?:\.([0-9]{1,12}))?$`)

// parse takes dollars as a decimal, exactly.
func (m *Money) parse(text string) string {
	parts := decimal.FindStringSubmatch(text)
	if parts == nil {
		return "must be dollars as a decimal with at most 12 digits after the point, for example 2.50"
	}
	whole, _ := strconv.ParseInt(parts[1], 10, 64)
	rest, _ := strconv.ParseInt((parts[2] + "000000000000")[:12], 10, 64)
	if whole > maxDollars || whole == maxDollars && rest > 0 {
		return "must be at most 1000000 dollars"
	}
	*m = Money(whole*picodollars + rest)
	return ""
}

// String is the amount in dollars.
func (m Money) String() string {
	whole, rest := strconv.FormatInt(int64(m)/picodollars, 10), int64(m)%picodollars
	if rest == 0 {
		return whole
	}
	digits := strconv.FormatInt(picodollars+rest, 10)[1:]
	return whole + "." + strings.TrimRight(digits, "0")
}

// Bytes is a size.
type Bytes int64

var size = regexp.MustCompile(`^([0-9]{1,19})(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)?$`)

func units() map[string]int64 {
	return map[string]int64{
		"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
		"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	}
}

func (b *Bytes) parse(text string) string {
	parts := size.FindStringSubmatch(text)
	if parts == nil {
		return "must be a size, for example 64MiB"
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	unit := units()[parts[2]]
	if err != nil || n > math.MaxInt64/unit {
		return "must be a size that fits on a disk, for example 64MiB"
	}
	*b = Bytes(n * unit)
	return ""
}

// String is the size in the largest unit that needs no fraction.
func (b Bytes) String() string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if n := units()[unit]; b != 0 && int64(b)%n == 0 {
			return strconv.FormatInt(int64(b)/n, 10) + unit
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// Set reads a size from the command line.
func (b *Bytes) Set(text string) error {
	var read Bytes
	if wrong := read.parse(text); wrong != "" {
		return errors.New(wrong)
	}
	if read == 0 {
		return errors.New("must be more than 0")
	}
	*b = read
	return nil
}

// Type names the kind of value in the help.
func (b *Bytes) Type() string { return "size" }

// parseDuration takes Go's form of a duration.
func parseDuration(text string) (time.Duration, string) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, "must be a duration with a unit, for example 90s or 5m"
	case d < 0:
		return 0, "must not be negative"
	}
	return d, ""
}
