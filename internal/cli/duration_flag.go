package cli

import (
	"errors"
	"time"
)

// ErrUnwanted is a value that is not what its flag wants.
var ErrUnwanted = errors.New("not what is wanted")

// durationFlag is how long something lasts, 0 if it is not given: for ever. Who
// writes 0 may mean the opposite.
type durationFlag time.Duration

// Set reads the time.
func (f *durationFlag) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return ErrUnwanted
	}
	*f = durationFlag(d)
	return nil
}

// Type is what help shows.
func (f *durationFlag) Type() string { return "duration" }

func (f *durationFlag) String() string {
	if *f == 0 {
		return "" // no default to show
	}
	return time.Duration(*f).String()
}

// Wants is what to write instead.
func (f *durationFlag) Wants() string {
	return "a time above 0, for example 2h; leave it out for what lasts until it is lifted"
}
