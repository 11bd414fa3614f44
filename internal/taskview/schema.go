package taskview

// schemaVersion is stored in the file (PRAGMA user_version). A file with another
// one is deleted and rebuilt from the log: there is nothing to migrate.
const schemaVersion = 2

// schemaSQL: the rows of tasks are small and rewritten as a task goes on; the
// payloads are written once, beside them. created_ms orders lists.
const schemaSQL = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
	topic TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL,
	PRIMARY KEY (topic, part)
) WITHOUT ROWID;
CREATE TABLE folds (
	shard TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE tasks (
	id INTEGER PRIMARY KEY,
	task_id TEXT NOT NULL, user_id TEXT NOT NULL, lane TEXT NOT NULL, part INTEGER NOT NULL,
	lane_offset INTEGER NOT NULL, status TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,
	task_name TEXT NOT NULL, mode TEXT NOT NULL, service TEXT NOT NULL, priority INTEGER NOT NULL,
	batch_id TEXT NOT NULL, retry_of TEXT NOT NULL, labels TEXT NOT NULL,
	message TEXT NOT NULL, error TEXT NOT NULL, error_code TEXT NOT NULL, duplicate_of TEXT NOT NULL, worker TEXT NOT NULL,
	waiting TEXT NOT NULL, next_attempt_ms INTEGER, progress TEXT NOT NULL,
	created_ms INTEGER NOT NULL, started_ms INTEGER, updated_ms INTEGER NOT NULL, ended_ms INTEGER,
	repeats INTEGER NOT NULL, events INTEGER NOT NULL, omitted INTEGER NOT NULL, first_event INTEGER NOT NULL
);
CREATE UNIQUE INDEX tasks_identity ON tasks (task_id, user_id, lane, part);
CREATE INDEX tasks_created ON tasks (created_ms);
CREATE INDEX tasks_user ON tasks (user_id, created_ms);
CREATE INDEX tasks_status ON tasks (status, created_ms);
CREATE INDEX tasks_ended ON tasks (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE TABLE records (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE results (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE events (
	task INTEGER NOT NULL, part INTEGER NOT NULL, log_offset INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE UNIQUE INDEX events_order ON events (task, part, log_offset);
CREATE VIRTUAL TABLE search USING fts5(
	body, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2'
);
`

const taskColumns = `id, task_id, user_id, lane, part, lane_offset, status, attempt, step,
	task_name, mode, service, priority, batch_id, retry_of, labels, message, error, error_code, duplicate_of, worker,
	waiting, next_attempt_ms, progress, created_ms, started_ms, updated_ms, ended_ms,
	repeats, events, omitted, first_event`

// upsertTaskSQL writes a row. The identity of a row never changes.
const upsertTaskSQL = `INSERT INTO tasks (` + taskColumns + `)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT (id) DO UPDATE SET
	lane_offset=excluded.lane_offset, status=excluded.status, attempt=excluded.attempt, step=excluded.step,
	task_name=excluded.task_name, mode=excluded.mode, service=excluded.service, priority=excluded.priority,
	batch_id=excluded.batch_id, retry_of=excluded.retry_of, labels=excluded.labels,
	message=excluded.message, error=excluded.error, error_code=excluded.error_code, duplicate_of=excluded.duplicate_of, worker=excluded.worker,
	waiting=excluded.waiting, next_attempt_ms=excluded.next_attempt_ms, progress=excluded.progress,
	created_ms=excluded.created_ms, started_ms=excluded.started_ms, updated_ms=excluded.updated_ms,
	ended_ms=excluded.ended_ms, repeats=excluded.repeats, events=excluded.events,
	omitted=excluded.omitted, first_event=excluded.first_event`
