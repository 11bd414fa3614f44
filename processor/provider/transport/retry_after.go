package transport

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter is the most that a provider can make us wait.
const maxRetryAfter = time.Hour

// RetryAfter is how long a provider asks to wait, 0 if it does not say: by retry-after-ms, else by retry-after, in
// seconds or as a date. What is not positive counts as absent.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if wait := inUnits(h.Get("Retry-After-Ms"), time.Millisecond); wait > 0 {
		return wait
	}
	value := h.Get("Retry-After")
	if wait := inUnits(value, time.Second); wait > 0 {
		return wait
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

func inUnits(value string, unit time.Duration) time.Duration {
	number, err := strconv.ParseFloat(value, 64)
	switch {
	case math.IsInf(number, 1): // with an error, if it is too large a number
		return maxRetryAfter
	case err != nil || math.IsNaN(number) || number <= 0:
		return 0
	case number >= float64(maxRetryAfter)/float64(unit):
		return maxRetryAfter
	}
	return time.Duration(number * float64(unit))
}
