package clienttest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/schemas"
)

// unique is a task that no other may have the content of.
func unique(input string, ttlMS int64) schemas.Task {
	one := task("work", input)
	one.Unique = &schemas.Unique{TTLMS: ttlMS}
	return one
}

func TestDuplicateIsNotRun(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("work", func(context.Context, *clienttest.Task) (any, error) { return "done", nil })
	first, _ := submit(t, s, unique(`{"x":1,"y":2}`, 3_600_000))
	second, result := submit(t, s, unique(`{"y":2,"x":1}`, 3_600_000))
	if result.Status != schemas.Cancelled || result.ErrorCode != schemas.CodeDuplicate ||
		result.DuplicateOf != first.TaskID {
		t.Errorf("the second ends with %+v, want a duplicate of %s", result, first.TaskID)
	}
	state, err := s.Client().Get(t.Context(), "ada", second.TaskID)
	if err != nil || state.DuplicateOf != first.TaskID || state.Attempt != 0 {
		t.Errorf("%+v, %v", state, err)
	}
	plain, others := task("work", `{"x":1,"y":2}`), unique(`{"x":1,"y":2}`, 3_600_000)
	others.UserID = "bob"
	for what, one := range map[string]schemas.Task{"not unique": plain, "another user's": others,
		"other content": unique(`{"x":2}`, 3_600_000)} {
		if _, result := submit(t, s, one); result.Status != schemas.Completed {
			t.Errorf("%s: %+v", what, result)
		}
	}
}

// What failed, and what is over, stands in nobody's way.
func TestClaimEnds(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("work", func(_ context.Context, task *clienttest.Task) (any, error) {
		if task.Unique.Key == "fails" {
			return nil, errors.New("no luck")
		}
		return "done", nil
	})
	failing := unique(`{}`, 3_600_000)
	failing.Unique.Key = "fails"
	for range 2 {
		if _, result := submit(t, s, failing); result.Status != schemas.Failed {
			t.Errorf("%+v, want it to run and fail", result)
		}
	}
	submit(t, s, unique(`{}`, 1))
	for t.Context().Err() == nil {
		if _, result := submit(t, s, unique(`{}`, 1)); result.Status == schemas.Completed {
			return
		}
	}
}
