package taskview

import (
	"database/sql"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// taskValues are the values of taskColumns.
func taskValues(r *row) ([]any, error) {
	t := &r.task
	labels, err := text(t.Labels, len(t.Labels) == 0)
	if err != nil {
		return nil, err
	}
	waiting, err := text(t.Waiting, t.Waiting == nil)
	if err != nil {
		return nil, err
	}
	progress, err := text(t.Progress, t.Progress == nil)
	if err != nil {
		return nil, err
	}
	return []any{
		r.id, t.TaskID, t.UserID, t.Lane, t.Partition, t.Offset, string(t.Status), t.Attempt, t.Step,
		t.TaskName, t.Mode, t.Service, t.Priority, t.BatchID, t.RetryOf, labels,
		t.Message, t.Error, string(t.ErrorCode), t.DuplicateOf, t.Worker,
		waiting, milli(t.NextAttemptAt), progress,
		t.CreatedAt.UnixMilli(), milli(t.StartedAt), t.UpdatedAt.UnixMilli(), milli(t.EndedAt),
		t.Repeats, t.Events, t.EventsOmitted, t.FirstEvent,
	}, nil
}

// scanTask reads taskColumns.
func scanTask(scan func(...any) error) (row, error) {
	var r row
	t := &r.task
	var labels, waiting, progress string
	var created, updated int64
	var next, started, ended sql.NullInt64
	err := scan(&r.id, &t.TaskID, &t.UserID, &t.Lane, &t.Partition, &t.Offset, &t.Status, &t.Attempt, &t.Step,
		&t.TaskName, &t.Mode, &t.Service, &t.Priority, &t.BatchID, &t.RetryOf, &labels,
		&t.Message, &t.Error, &t.ErrorCode, &t.DuplicateOf, &t.Worker,
		&waiting, &next, &progress, &created, &started, &updated, &ended,
		&t.Repeats, &t.Events, &t.EventsOmitted, &t.FirstEvent)
	if err != nil {
		return row{}, err
	}
	t.CreatedAt, t.UpdatedAt = atMilli(created), atMilli(updated)
	t.NextAttemptAt, t.StartedAt, t.EndedAt = timeOf(next), timeOf(started), timeOf(ended)
	for _, column := range []struct {
		text   string
		target any
	}{{labels, &t.Labels}, {waiting, &t.Waiting}, {progress, &t.Progress}} {
		if column.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(column.text), column.target); err != nil {
			return row{}, fmt.Errorf("decode column of task %s: %w", t.TaskID, err)
		}
	}
	return r, nil
}

func text(v any, empty bool) (string, error) {
	if empty {
		return "", nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode column: %w", err)
	}
	return string(b), nil
}

func milli(t *schemas.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: true}
}

func timeOf(ms sql.NullInt64) *schemas.Time {
	if !ms.Valid {
		return nil
	}
	t := atMilli(ms.Int64)
	return &t
}
