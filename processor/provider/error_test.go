package provider

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor"
)

// TestKindsDecide: each kind is marked as what it is, and the wait that was asked for is kept.
func TestKindsDecide(t *testing.T) {
	for kind, want := range map[Kind]struct{ retry, fails bool }{
		RateLimited: {true, false}, Overloaded: {true, true}, Network: {true, true}, Cut: {true, true}, Auth: {false, true},
		WrongForm: {true, false}, BadRequest: {false, false}, Refused: {false, false}, Length: {false, false},
		"": {false, false},
	} {
		e := &Error{Provider: "p", Kind: kind, Message: "m", RetryAfter: 7 * time.Second}
		if e.Fails() != want.fails {
			t.Errorf("%s fails: %v", kind, e.Fails())
		}
		err := marked(fmt.Errorf("ask: %w", e))
		var again *processor.RetryableError
		if got := errors.As(err, &again); got != want.retry {
			t.Errorf("%s is tried again: %v, want %v", kind, got, want.retry)
		}
		if again != nil && again.After != 7*time.Second {
			t.Errorf("%s is tried again after %v", kind, again.After)
		}
		if !errors.Is(err, e) {
			t.Errorf("%s: the mark hides the error", kind)
		}
	}
	if err := errors.New("other"); !errors.Is(marked(err), err) || marked(err).Error() != "other" {
		t.Error("another error is marked")
	}
}
