package taskview

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/aiecs/tasklane/internal/journal"
)

const (
	fileName    = "view.db"
	readerConns = 4
)

// errRebuild says that the file is of no use for this log: it is damaged, of
// another version, or was made from another log.
var errRebuild = errors.New("rebuild the task view from the log")

// store is one open database: a single writing connection and a few that only
// read. In memory all are the same connection.
type store struct {
	write *sql.DB
	read  *sql.DB
	owner string
}

// checkpoint is where a session goes on.
type checkpoint struct {
	// log identifies the cluster and its topics; empty in a new file.
	log    map[string]string
	next   map[topicPartition]int64
	folds  map[string]journal.State
	nextID int64
}

// openStore opens or creates the database in dir. A file that is damaged or of
// another version gives errRebuild.
func openStore(ctx context.Context, dir string) (*store, error) {
	s := &store{owner: rand.Text()}
	var err error
	if dir == "" {
		s.write, err = sql.Open("sqlite", "file::memory:")
		s.read = s.write
	} else {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make directory of task view: %w", err)
		}
		path := filepath.Join(dir, fileName)
		s.write, err = sql.Open("sqlite", dsn(path, "journal_mode(WAL)", "synchronous(NORMAL)", "journal_size_limit(67108864)", "cache_size(-16384)"))
		if err == nil {
			s.read, err = sql.Open("sqlite", dsn(path, "query_only(1)", "cache_size(-8192)"))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open task view: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if dir != "" {
		s.read.SetMaxOpenConns(readerConns)
	}
	if err := s.prepare(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("open task view: %w", damaged(err))
	}
	return s, nil
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// prepare checks the version, creates the tables in a new file, and takes the
// file over: from here on another process that had it cannot commit.
func (s *store) prepare(ctx context.Context) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var version, tables int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	switch {
	case version == 0 && tables == 0:
		if _, err := tx.ExecContext(ctx, schemaSQL+fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)); err != nil {
			return fmt.Errorf("create tables: %w", err)
		}
	case version != schemaVersion:
		return fmt.Errorf("%w: the file has version %d, this release %d", errRebuild, version, schemaVersion)
	}
	if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO meta VALUES ('owner', ?)", s.owner); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *store) close() {
	if s.read != nil && s.read != s.write {
		_ = s.read.Close()
	}
	if s.write != nil {
		_ = s.write.Close()
	}
}

// removeFiles deletes the database in dir.
func removeFiles(dir string) error {
	if dir == "" {
		return nil
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(filepath.Join(dir, fileName+suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove task view: %w", err)
		}
	}
	return nil
}

// load reads where to go on.
func (s *store) load(ctx context.Context) (checkpoint, error) {
	c := checkpoint{log: map[string]string{}, next: map[topicPartition]int64{}, folds: map[string]journal.State{}}
	var name, value string
	err := s.each(ctx, "SELECT name, value FROM meta WHERE name LIKE 'log:%'", func() { c.log[name] = value }, &name, &value)
	var at topicPartition
	var next int64
	if err == nil {
		err = s.each(ctx, "SELECT topic, part, next FROM positions", func() { c.next[at] = next }, &at.topic, &at.partition, &next)
	}
	var state journal.State
	if err == nil {
		err = s.each(ctx, "SELECT shard, epoch, seq FROM folds", func() { c.folds[name] = state }, &name, &state.Epoch, &state.Seq)
	}
	if err == nil {
		err = s.write.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) + 1 FROM tasks").Scan(&c.nextID)
	}
	if err != nil {
		return checkpoint{}, fmt.Errorf("load task view's positions: %w", damaged(err))
	}
	return c, nil
}

func (s *store) each(ctx context.Context, query string, f func(), targets ...any) error {
	rows, err := s.write.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		f()
	}
	return rows.Err()
}

// bind stores which log the file is made from.
func (s *store) bind(ctx context.Context, log map[string]string) error {
	for name, value := range log {
		if _, err := s.write.ExecContext(ctx, "INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value); err != nil {
			return fmt.Errorf("store identity of the log: %w", err)
		}
	}
	return nil
}

// damaged turns SQLite's words for a broken file into errRebuild.
func damaged(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_CORRUPT, sqlitelib.SQLITE_NOTADB, sqlitelib.SQLITE_SCHEMA, sqlitelib.SQLITE_ERROR, sqlitelib.SQLITE_CONSTRAINT:
		// ERROR is a table or column that is not there: every statement is fixed
		// and tested, so it is the file that is wrong.
		return fmt.Errorf("%w: %w", errRebuild, err)
	}
	return err
}
