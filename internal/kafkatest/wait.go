package kafkatest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// Noticed is how long [Eventually] waits.
const Noticed = 2 * time.Minute

// Eventually waits until something is so, which it asks for again and again. The test ends
// if it is not within [Noticed].
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Noticed)
	defer cancel()
	for !is() {
		if !pace.Sleep(ctx, 10*time.Millisecond) {
			t.Fatalf("%s did not come to be within %v", what, Noticed)
		}
	}
}

// MustSay checks that an error mentions all of parts.
func MustSay(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}
