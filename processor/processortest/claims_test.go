package processortest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

func unique(id string) schemas.Task {
	one := task()
	one.TaskID, one.Unique = id, &schemas.Unique{TTLMS: 60_000}
	return one
}

func TestDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := true
		service := serviceOf(func(context.Context, *processor.Context) (any, error) {
			if fails {
				return nil, errBroken
			}
			return "done", nil
		})
		var claims processortest.Claims
		for _, c := range []struct {
			id   string
			ok   bool
			wait time.Duration
			want schemas.Status
			of   string
		}{
			{"fails", false, 0, schemas.Failed, ""},
			{"first", true, 0, schemas.Completed, ""},
			{"second", true, 59 * time.Second, schemas.Cancelled, "first"},
			{"third", true, time.Second, schemas.Completed, ""},
			{"fourth", true, time.Second, schemas.Cancelled, "third"},
		} {
			<-time.After(c.wait) // in the bubble
			fails = !c.ok
			o := processortest.Run(t, service, unique(c.id), processortest.WithClaims(&claims))
			if o.Status() != c.want || o.End.DuplicateOf != c.of || (c.of != "") != (o.ErrorCode() == schemas.CodeDuplicate) ||
				(c.of != "") != (len(o.Attempts) == 0) {
				t.Errorf("%s ends as %s, %s of %q after %d attempts", c.id, o.Status(), o.ErrorCode(), o.End.DuplicateOf,
					len(o.Attempts))
			}
		}
		for what, o := range map[string]*processortest.Outcome{
			"another lane": processortest.Run(t, service, unique("x"), processortest.WithClaims(&claims),
				processortest.WithLane(schemas.LaneHeavy)),
			"another shard": processortest.Run(t, service, unique("x")),
			"not unique":    processortest.Run(t, service, task(), processortest.WithClaims(&claims)),
		} {
			if o.Status() != schemas.Completed {
				t.Errorf("%s: ends as %s", what, o.Status())
			}
		}
	})
}

// A duplicate of a task that still runs.
func TestDuplicateOfARunningTask(t *testing.T) {
	var claims processortest.Claims
	var inner *processortest.Outcome
	quick := serviceOf(func(context.Context, *processor.Context) (any, error) { return "done", nil })
	o := processortest.Run(t, serviceOf(func(context.Context, *processor.Context) (any, error) {
		inner = processortest.Run(t, quick, unique("b"), processortest.WithClaims(&claims))
		return "done", nil
	}), unique("a"), processortest.WithClaims(&claims))
	if o.Status() != schemas.Completed || inner.ErrorCode() != schemas.CodeDuplicate || inner.End.DuplicateOf != "a" {
		t.Errorf("the first ends as %s, the second as %s of %q", o.Status(), inner.ErrorCode(), inner.End.DuplicateOf)
	}
}
