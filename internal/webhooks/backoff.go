package webhooks

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter bounds what a receiver may ask for.
const maxRetryAfter = 24 * time.Hour

// backoff is the pause after so many tries: three times as long after each, and
// up to a fifth more, so that what failed together does not come together again.
func (c *Config) backoff(tries int) time.Duration {
	pause := c.Backoff
	for range tries - 1 {
		if pause >= c.MaxBackoff/3 {
			pause = c.MaxBackoff
			break
		}
		pause *= 3
	}
	return pause + rand.N(pause/5+1)
}

// retryAfter reads a Retry-After header, seconds or a date; 0 if there is none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
