package transport

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		ms, value string
		want      time.Duration
	}{
		{"", "", 0},
		{"", "7", 7 * time.Second},
		{"", "0.25", 250 * time.Millisecond},
		{"1500", "7", 1500 * time.Millisecond}, // the finer one goes first
		{"0", "7", 7 * time.Second},            // and counts as absent if it is not positive
		{"-3", "7", 7 * time.Second},
		{"soon", "7", 7 * time.Second},
		{"", "-1", 0},
		{"", "0", 0},
		{"", "NaN", 0},
		{"", "1e400", time.Hour},
		{"", "999999999999", time.Hour},
		{"", "Fri, 01 May 2026 12:00:09 GMT", 9 * time.Second},
		{"", "Fri, 01 May 2026 11:00:00 GMT", 0},
		{"", "Fri, 01 May 2036 11:00:00 GMT", time.Hour},
	} {
		h := http.Header{}
		h.Set("Retry-After-Ms", c.ms)
		h.Set("Retry-After", c.value)
		if got := RetryAfter(h, now); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}
