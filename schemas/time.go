package schemas

import (
	"bytes"
	"fmt"
	"time"
)

// Time is an instant on the wire: RFC 3339 in UTC with milliseconds. Any RFC 3339 offset is read.
type Time struct{ time.Time }

// AtTime is t as it will be on the wire: in UTC, cut to the millisecond.
func AtTime(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// AppendText appends the wire form, 2026-01-31T09:30:00.000Z. It fails for a year that RFC 3339 cannot say.
func (t Time) AppendText(b []byte) ([]byte, error) {
	u := t.UTC()
	year, month, day := u.Date()
	if year < 1 || year > 9999 {
		return b, fmt.Errorf("year %d is outside the years 1 to 9999", year)
	}
	hour, minute, second := u.Clock()
	// Spelled out: time.AppendFormat takes three times as long, twice a task.
	b = append(appendTwo(appendTwo(b, year/100), year%100), '-')
	b = append(appendTwo(b, int(month)), '-')
	b = append(appendTwo(b, day), 'T')
	b = append(appendTwo(b, hour), ':')
	b = append(appendTwo(b, minute), ':')
	b = append(appendTwo(b, second), '.')
	ms := u.Nanosecond() / int(time.Millisecond)
	return append(appendTwo(append(b, byte('0'+ms/100)), ms%100), 'Z'), nil
}

func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// MarshalText is the wire form.
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// UnmarshalText reads any RFC 3339 time from the year 2 to 9999. The first and the last day of these are read in UTC
// only: an offset could lead out of the years that can be written. The year 1 is left out because its first instant
// is Go's zero time, which stands for none and would be dropped when written.
func (t *Time) UnmarshalText(b []byte) error {
	parsed := time.Time{}
	if err := parsed.UnmarshalText(b); err != nil || !strict(b) {
		return fmt.Errorf("%q is not an RFC 3339 time such as 2026-01-31T09:30:00Z", cut(string(b), maxQuoted))
	}
	edge := bytes.HasPrefix(b, []byte("0002-01-01")) || bytes.HasPrefix(b, []byte("9999-12-31"))
	if parsed.Year() < 2 || edge && b[len(b)-1] != 'Z' {
		return fmt.Errorf("%q is at or beyond the ends of the years 2 to 9999; write it in UTC, ending in Z",
			cut(string(b), maxQuoted))
	}
	*t = Time{parsed.UTC()}
	return nil
}

// strict refuses what package time reads beyond RFC 3339: an hour of one digit,
// a comma before the fraction, an offset of a day or more.
func strict(b []byte) bool {
	if len(b) < len("2006-01-02T15:04:05Z") || b[13] != ':' || b[19] == ',' {
		return false
	}
	if b[len(b)-1] == 'Z' {
		return true
	}
	offset := string(b[len(b)-len("07:00"):])
	return offset[:2] < "24" && offset[3:] < "60"
}

// MarshalJSON keeps the embedded time.Time's own JSON form from being used.
func (t Time) MarshalJSON() ([]byte, error) {
	b, err := t.AppendText(append(make([]byte, 0, len(`"2006-01-02T15:04:05.000Z"`)), '"'))
	return append(b, '"'), err
}

// UnmarshalJSON reads an RFC 3339 string.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) < 2 || b[0] != '"' {
		return fmt.Errorf("%s is not an RFC 3339 time such as \"2026-01-31T09:30:00Z\"", cut(string(b), maxQuoted))
	}
	if bytes.IndexByte(b, '\\') >= 0 {
		return t.UnmarshalText([]byte(Unquote(b)))
	}
	return t.UnmarshalText(b[1 : len(b)-1])
}
