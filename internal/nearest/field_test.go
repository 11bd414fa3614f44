package nearest_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/nearest"
	"github.com/aiecs/tasklane/schemas"
)

// TestFieldsBesideAndInside: a member that belongs into another is found there, one that was
// written inside another only among those that the other has.
func TestFieldsBesideAndInside(t *testing.T) {
	for name, want := range map[string]string{
		"task_nme": "task_name", "max_attempts": "retry.max_attempts", "maxAttempts": "retry.max_attempts",
		"ttl":               "unique.ttl_ms",
		"retry.max_attempt": "retry.max_attempts", "retry.backof_ms": "retry.backoff_ms", "unique.keys": "unique.key",
		"not-before": "not_before", "labels_": "labels", "retry.priorty": "", "unknown_thing_altogether": "",
		"retry.task_id": "",
	} {
		field, near := nearest.TaskField(name)
		if near != (want != "") || near && field != want {
			t.Errorf("%q: %q, near %t; want %q", name, field, near, want)
		}
	}
	if field, near := nearest.TaskField("idempotency_ky", "idempotency_key"); field != "idempotency_key" || !near {
		t.Errorf("with one member more: %q, %t", field, near)
	}
}

// TestFieldIsKnown: what is asked for is a member, itself if it is one, and beside the one that
// was given if that is inside another.
func TestFieldIsKnown(t *testing.T) {
	fields := schemas.TaskFields()
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.SampledFrom(fields).Draw(t, "known")
		if field, near := nearest.TaskField(known); field != known || !near {
			t.Fatalf("%q is meant by %q", field, known)
		}
		given := rapid.OneOf(rapid.String(), rapid.StringMatching(`(retry\.|unique\.)?[a-z_]{0,12}`)).Draw(t, "given")
		field, near := nearest.TaskField(given)
		if !near {
			return
		}
		if !slices.Contains(fields, field) {
			t.Fatalf("%q is asked for by %q", field, given)
		}
		if inside := given[:strings.LastIndexByte(given, '.')+1]; inside != "" && !strings.HasPrefix(field, inside) {
			t.Fatalf("%q is asked for by %q, which stands inside another", field, given)
		}
	})
}
