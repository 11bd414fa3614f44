package taskview

import (
	"database/sql"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// schemaVersion is stored in the file (PRAGMA user_version). A file with another
// one is deleted and rebuilt from the log: there is nothing to migrate.
const schemaVersion = 10

// schemaSQL: the rows of tasks are small and rewritten as a task goes on; the
// payloads are written once, beside them. created_ms orders lists. sum is a checksum
// of the row (damage.go): SQLite takes any text for one that was written.
const schemaSQL = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
	topic TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL, epoch INTEGER NOT NULL,
	print INTEGER NOT NULL, sum INTEGER NOT NULL,
	PRIMARY KEY (topic, part)
) WITHOUT ROWID;
CREATE TABLE folds (
	shard TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE tasks (
	id INTEGER PRIMARY KEY,
	task_id TEXT NOT NULL, user_id TEXT NOT NULL, lane TEXT NOT NULL, part INTEGER NOT NULL,
	lane_offset INTEGER NOT NULL, last_offset INTEGER NOT NULL, deferred INTEGER NOT NULL,
	status TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,
	task_name TEXT NOT NULL, mode TEXT NOT NULL, service TEXT NOT NULL, priority INTEGER NOT NULL,
	batch_id TEXT NOT NULL, retry_of TEXT NOT NULL, labels TEXT NOT NULL,
	message TEXT NOT NULL, error TEXT NOT NULL, error_code TEXT NOT NULL, duplicate_of TEXT NOT NULL, worker TEXT NOT NULL,
	waiting TEXT NOT NULL, next_attempt_ms INTEGER, progress TEXT NOT NULL, result_artifact TEXT NOT NULL,
	created_ms INTEGER NOT NULL, started_ms INTEGER, updated_ms INTEGER NOT NULL, ended_ms INTEGER,
	repeats INTEGER NOT NULL, events INTEGER NOT NULL, omitted INTEGER NOT NULL, first_event INTEGER NOT NULL,
	sum INTEGER NOT NULL
);
CREATE UNIQUE INDEX tasks_identity ON tasks (task_id, user_id, lane, part);
CREATE INDEX tasks_created ON tasks (created_ms);
CREATE INDEX tasks_user ON tasks (user_id, created_ms);
CREATE INDEX tasks_status ON tasks (status, created_ms);
CREATE INDEX tasks_batch ON tasks (user_id, batch_id, status) WHERE batch_id <> '';
CREATE INDEX tasks_ended ON tasks (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE TABLE records (id INTEGER PRIMARY KEY, data BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE results (id INTEGER PRIMARY KEY, data BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE events (
	task INTEGER NOT NULL, part INTEGER NOT NULL, log_offset INTEGER NOT NULL, data BLOB NOT NULL, sum INTEGER NOT NULL
);
CREATE UNIQUE INDEX events_order ON events (task, part, log_offset);
CREATE TABLE webhooks (
	task_id TEXT NOT NULL, user_id TEXT NOT NULL, lane TEXT NOT NULL, part INTEGER NOT NULL,
	at_ms INTEGER NOT NULL, data BLOB NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (task_id, user_id, lane, part)
) WITHOUT ROWID;
CREATE INDEX webhooks_at ON webhooks (at_ms);
CREATE VIRTUAL TABLE search USING fts5(
	body, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2'
);
`

const taskColumns = `id, task_id, user_id, lane, part, lane_offset, last_offset, deferred, status, attempt, step,
	task_name, mode, service, priority, batch_id, retry_of, labels, message, error, error_code, duplicate_of, worker,
	waiting, next_attempt_ms, progress, result_artifact, created_ms, started_ms, updated_ms, ended_ms,
	repeats, events, omitted, first_event, sum`

// upsertTaskSQL writes a row. The identity of a row never changes.
const upsertTaskSQL = `INSERT INTO tasks (` + taskColumns + `)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT (id) DO UPDATE SET
	lane_offset=excluded.lane_offset, last_offset=excluded.last_offset, deferred=excluded.deferred,
	status=excluded.status, attempt=excluded.attempt, step=excluded.step,
	task_name=excluded.task_name, mode=excluded.mode, service=excluded.service, priority=excluded.priority,
	batch_id=excluded.batch_id, retry_of=excluded.retry_of, labels=excluded.labels,
	message=excluded.message, error=excluded.error, error_code=excluded.error_code,
	duplicate_of=excluded.duplicate_of, worker=excluded.worker,
	waiting=excluded.waiting, next_attempt_ms=excluded.next_attempt_ms, progress=excluded.progress,
	result_artifact=excluded.result_artifact,
	created_ms=excluded.created_ms, started_ms=excluded.started_ms, updated_ms=excluded.updated_ms,
	ended_ms=excluded.ended_ms, repeats=excluded.repeats, events=excluded.events,
	omitted=excluded.omitted, first_event=excluded.first_event, sum=excluded.sum`

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
	stored, err := text(t.ResultArtifact, t.ResultArtifact == nil)
	if err != nil {
		return nil, err
	}
	return []any{
		r.id, t.TaskID, t.UserID, t.Lane, t.Partition, t.Offset, t.LastOffset, t.Deferred,
		string(t.Status), t.Attempt, t.Step,
		t.TaskName, t.Mode, t.Service, t.Priority, t.BatchID, t.RetryOf, labels,
		t.Message, t.Error, string(t.ErrorCode), t.DuplicateOf, t.Worker,
		waiting, milli(t.NextAttemptAt), progress, stored,
		t.CreatedAt.UnixMilli(), milli(t.StartedAt), t.UpdatedAt.UnixMilli(), milli(t.EndedAt),
		t.Repeats, t.Events, t.EventsOmitted, t.FirstEvent, r.sum(labels, waiting, progress, stored),
	}, nil
}

// scanTask reads taskColumns.
func scanTask(scan func(...any) error) (row, error) {
	var r row
	t := &r.task
	var labels, waiting, progress, stored string
	var created, updated, sum int64
	var next, started, ended sql.NullInt64
	err := scan(&r.id, &t.TaskID, &t.UserID, &t.Lane, &t.Partition, &t.Offset, &t.LastOffset, &t.Deferred,
		&t.Status, &t.Attempt, &t.Step,
		&t.TaskName, &t.Mode, &t.Service, &t.Priority, &t.BatchID, &t.RetryOf, &labels,
		&t.Message, &t.Error, &t.ErrorCode, &t.DuplicateOf, &t.Worker,
		&waiting, &next, &progress, &stored, &created, &started, &updated, &ended,
		&t.Repeats, &t.Events, &t.EventsOmitted, &t.FirstEvent, &sum)
	if err != nil {
		return row{}, err
	}
	t.CreatedAt, t.UpdatedAt = atMilli(created), atMilli(updated)
	t.NextAttemptAt, t.StartedAt, t.EndedAt = timeOf(next), timeOf(started), timeOf(ended)
	if sum != r.sum(labels, waiting, progress, stored) {
		return row{}, fmt.Errorf("%w: the row of task %.200q is damaged", errRebuild, t.TaskID)
	}
	for _, column := range []struct {
		text   string
		target any
	}{{labels, &t.Labels}, {waiting, &t.Waiting}, {progress, &t.Progress}, {stored, &t.ResultArtifact}} {
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
