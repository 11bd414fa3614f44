package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// errUnwanted is a value that is not what its flag wants.
var errUnwanted = errors.New("not what is wanted")

// slotsFlag is a number of slots. None would run nothing, and 0 is what the
// settings of a role without slots have.
type slotsFlag int

// Set reads the number.
func (f *slotsFlag) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return errUnwanted
	}
	*f = slotsFlag(n)
	return nil
}

// Type is what help shows.
func (f *slotsFlag) Type() string   { return "int" }
func (f *slotsFlag) String() string { return strconv.Itoa(int(*f)) }
func (f *slotsFlag) wants() string  { return "a whole number of at least 1" }

// lastsFlag is how long something lasts, 0 if it is not given: for ever. Who
// writes 0 may mean the opposite.
type lastsFlag time.Duration

// Set reads the time.
func (f *lastsFlag) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errUnwanted
	}
	*f = lastsFlag(d)
	return nil
}

// Type is what help shows.
func (f *lastsFlag) Type() string { return "duration" }

func (f *lastsFlag) String() string {
	if *f == 0 {
		return "" // no default to show
	}
	return time.Duration(*f).String()
}

func (f *lastsFlag) wants() string {
	return "a time above 0, for example 2h; leave it out for what lasts until it is lifted"
}

// explainFlag says of a flag that was given and cannot be read what it wants.
func explainFlag(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	return usagef("--%s %q: %s", invalid.GetFlag().Name, invalid.GetValue(), wrongValue(invalid))
}

// wrongValue says why a flag was not set, in the sender's words and not in Go's.
func wrongValue(err error) string {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err.Error()
	}
	value := invalid.GetFlag().Value
	if own, ok := value.(interface{ wants() string }); ok {
		return "want " + own.wants()
	}
	switch value.Type() {
	case "int", "int64":
		return "want a whole number, for example 4"
	case "float64":
		return "want a number, for example 0.5"
	case "duration":
		return "want a time with its unit, for example 30s or 2h"
	case "bool":
		return "want true or false"
	}
	return invalid.Unwrap().Error()
}
