package artifact

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Defaults of a [Config].
const (
	DefaultRetention    = 7 * 24 * time.Hour
	DefaultMaxFileBytes = 1 << 30
	DefaultMaxUserBytes = 10 << 30
	DefaultMaxBytes     = 100 << 30
	DefaultMinFreeBytes = 256 << 20
	DefaultSweepEvery   = time.Hour
	DefaultMaxUploads   = 64

	// The shortest and longest time that something has to be of no use before it is removed.
	minGrace = time.Second
	maxGrace = time.Hour
	// maxSwept bounds what one pass removes.
	maxSwept = 10_000
)

// Config says where files are kept and how many. Dir must be given.
type Config struct {
	// Dir is the directory of the store, or with S3 of files on their way there.
	Dir string
	// S3 is the bucket, nil if files are kept in Dir.
	S3 *S3
	// Retention is how long a file is kept at least after it was stored last; 7 days if zero.
	Retention time.Duration
	// MaxFileBytes is the size of the largest file, MaxUserBytes of all files of a user and
	// MaxBytes of all together.
	MaxFileBytes, MaxUserBytes, MaxBytes int64
	// MinFreeBytes is what is left free on the disk of Dir, for whoever shares it.
	MinFreeBytes int64
	// MaxUploads is how many files may be on their way at once; a user may have an eighth of them.
	MaxUploads int
	// SweepEvery is how long [Store.Run] waits between two passes.
	SweepEvery time.Duration
	Logger     *slog.Logger
	// now is the clock.
	now func() time.Time
}

func (c *Config) setDefaults() error {
	for value, otherwise := range map[*time.Duration]time.Duration{
		&c.Retention: DefaultRetention, &c.SweepEvery: DefaultSweepEvery,
	} {
		if *value == 0 {
			*value = otherwise
		}
		if *value < time.Second {
			return fmt.Errorf("keep artifacts for %v: give it at least 1s", *value)
		}
	}
	for value, otherwise := range map[*int64]int64{
		&c.MaxFileBytes: DefaultMaxFileBytes, &c.MaxUserBytes: DefaultMaxUserBytes, &c.MaxBytes: DefaultMaxBytes,
		&c.MinFreeBytes: DefaultMinFreeBytes,
	} {
		if *value == 0 {
			*value = otherwise
		}
		if *value < 0 {
			return errors.New("bounds of artifacts must not be negative")
		}
	}
	if c.MaxUploads == 0 {
		c.MaxUploads = DefaultMaxUploads
	}
	if c.Dir == "" {
		return errors.New("no directory for artifacts given")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	return nil
}

// grace is how long something has to be of no use before it is removed.
func (c *Config) grace() time.Duration { return min(max(c.Retention/24, minGrace), maxGrace) }
