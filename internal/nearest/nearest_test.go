package nearest_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/nearest"
)

var parameters = []string{"user_id", "status", "lane", "task_name", "batch_id", "label", "q", "limit", "cursor", "from",
	"to"}

// TestEquallyNear: of a name that is the beginning and one with a letter too many the latter is meant, in any order.
func TestEquallyNear(t *testing.T) {
	for given, want := range map[string]string{"api_keey": "api_key", "apikeyy": "api_key", "api_": "api", "ap": "api",
		"base_urll": "base_url", "breakerr": "breaker"} {
		known := []string{"api", "api_key", "base", "base_url", "break", "breaker"}
		for range 2 {
			if name, near := nearest.Name(given, known...); name != want || !near {
				t.Errorf("%q of %q: %q, want %q", given, known, name, want)
			}
			slices.Reverse(known)
		}
	}
}

func TestNameIsWhatWasMeant(t *testing.T) {
	for given, want := range map[string]string{
		"user": "user_id", "userid": "user_id", "userId": "user_id", "USER-ID": "user_id", "usr_id": "user_id",
		"usr": "user_id", "uid": "user_id",
		"state": "status", "statsu": "status", "stat": "status", "lanes": "lane", "lnae": "lane", "taskname": "task_name",
		"task": "task_name",
		"name": "task_name", "batch": "batch_id", "labels": "label", "limt": "limit", "curser": "cursor", "form": "from",
		"status": "status",
	} {
		if name, near := nearest.Name(given, parameters...); name != want || !near {
			t.Errorf("Name(%q) = %q, %v; want %q", given, name, near, want)
		}
	}
	for given, want := range map[string]string{
		"not_befor": "not_before", "maxAttempts": "max_attempts", "backof_ms": "backoff_ms", "input": "input_data",
		"inputData": "input_data",
		"dependson": "depends_on", "callback": "callback_url", "svc": "service",
	} {
		members := []string{"task_id", "service", "not_before", "max_attempts", "backoff_ms", "input_data", "depends_on",
			"callback_url"}
		if name, near := nearest.Name(given, members...); name != want || !near {
			t.Errorf("Name(%q) = %q, %v; want %q", given, name, near, want)
		}
	}
}

func TestNameOfNothingNear(t *testing.T) {
	for _, given := range []string{"xylophone", "utm_source", strings.Repeat("x", 10_000)} {
		if name, near := nearest.Name(given, parameters...); near {
			t.Errorf("Name(%.20q) = %q, which nobody meant", given, name)
		}
	}
	if name, near := nearest.Name("user_id"); name != "" || near {
		t.Errorf("of no names at all it found %q", name)
	}
}

// Any known name is its own nearest, and nothing else is ever given.
func TestNameIsKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,12}`), 1, 8, rapid.ID[string]).Draw(t, "known")
		given := rapid.OneOf(rapid.String(), rapid.SampledFrom(known)).Draw(t, "given")
		name, near := nearest.Name(given, known...)
		if slices.Contains(known, given) && (name != given || !near) {
			t.Fatalf("Name(%q, %q) = %q", given, known, name)
		}
		if near && !slices.Contains(known, name) {
			t.Fatalf("%q is not known", name)
		}
	})
}
