package client

import (
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

// newTestClient is a client with pauses of milliseconds.
func newTestClient(t *testing.T, config Config) *Client {
	t.Helper()
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	c.timing.firstPause = time.Millisecond
	c.timing.longestPause = 5 * time.Millisecond
	c.timing.longestAdvice = 10 * time.Millisecond
	c.timing.shortestPoll = time.Millisecond
	t.Cleanup(c.Close)
	return c
}
