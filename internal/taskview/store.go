package taskview

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/aiecs/tasklane/internal/datadir"
	"github.com/aiecs/tasklane/internal/fold"
)

const (
	fileName = "view.db"
)

// errRebuild says that the file is of no use for this log: it is damaged, of
// another version, or was made from another log.
var errRebuild = errors.New("rebuild the task view from the log")

// store is one open database: a single writing connection and a few that only
// read. In memory all are the same connection.
type store struct {
	write *sql.DB
	// read is for look-ups by id, and the log's reader; lists and searches are for
	// what their names say.
	read, lists, searches, checks *sql.DB
	owner                         string
	// runQuery looks one run up, as the log's reader does for every new task:
	// reading the statement anew each time cost more than its answer.
	runQuery *sql.Stmt
}

// checkpoint is where a session goes on.
type checkpoint struct {
	// log identifies the cluster and its topics; empty in a new file.
	log    map[string]string
	next   map[topicPartition]position
	folds  map[string]fold.State
	nextID int64
}

// openStore opens or creates the database in dir. A file that is damaged or of
// another version gives errRebuild.
func openStore(ctx context.Context, dir string) (*store, error) {
	s := &store{owner: newOwner()}
	var err error
	if dir == "" {
		s.write, err = sql.Open("sqlite", "file::memory:")
		s.read, s.lists, s.searches, s.checks = s.write, s.write, s.write, s.write
	} else {
		path := filepath.Join(dir, fileName)
		if _, err := datadir.Make(dir); err != nil {
			return nil, fmt.Errorf("make directory of task view: %w", err)
		}
		// SQLite opens by name, follows links and gives what it puts beside the file
		// that one's mode.
		if err := datadir.Prepare(path, "-wal", "-shm", "-journal"); err != nil {
			return nil, fmt.Errorf("open task view: %w", err)
		}
		s.write, err = sql.Open("sqlite", dsn(path,
			"journal_mode(WAL)", "synchronous(NORMAL)", "journal_size_limit(67108864)", "cache_size(-16384)"))
		for pool, conns := range map[**sql.DB]int{
			&s.read: lookupConns, &s.lists: listConns, &s.searches: searchConns, &s.checks: 1,
		} {
			if err == nil {
				*pool, err = openPool(path, conns)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open task view: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if err := s.prepare(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("open task view: %w", damaged(err))
	}
	if s.runQuery, err = s.read.PrepareContext(ctx, selectRunSQL); err != nil {
		s.close()
		return nil, fmt.Errorf("open task view: %w", damaged(err))
	}
	return s, nil
}

// openPool makes connections that only read. They stay open: opening one costs more
// than most queries.
func openPool(path string, conns int) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", dsn(path, "query_only(1)", "cache_size(-8192)"))
	if err != nil {
		return nil, fmt.Errorf("open connections that read: %w", err)
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return pool, nil
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
	if s.runQuery != nil {
		_ = s.runQuery.Close()
	}
	for _, pool := range []*sql.DB{s.read, s.lists, s.searches, s.checks} {
		if pool != nil && pool != s.write {
			_ = pool.Close()
		}
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
	c := checkpoint{log: map[string]string{}, next: map[topicPartition]position{}, folds: map[string]fold.State{}}
	var name, value string
	err := s.each(ctx, "SELECT name, value FROM meta WHERE name LIKE 'log:%'", func() { c.log[name] = value },
		&name, &value)
	var at topicPartition
	var to position
	var sum int64
	sound := true
	if err == nil {
		err = s.each(ctx, "SELECT topic, part, next, epoch, print, sum FROM positions", func() {
			c.next[at] = to
			sound = sound && sum == sumOfPlace(at.topic, int64(at.partition), to.next, int64(to.epoch), to.print)
		}, &at.topic, &at.partition, &to.next, &to.epoch, &to.print, &sum)
	}
	var state fold.State
	if err == nil {
		err = s.each(ctx, "SELECT shard, epoch, seq, sum FROM folds", func() {
			c.folds[name] = state
			sound = sound && sum == sumOfPlace(name, state.Epoch, state.Seq)
		}, &name, &state.Epoch, &state.Seq, &sum)
	}
	if err == nil && !sound {
		err = fmt.Errorf("%w: its positions are damaged", errRebuild)
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

// sqliteError is an error with one of SQLite's codes.
type sqliteError interface {
	error
	Code() int
}

// damaged turns SQLite's words for a broken file into errRebuild.
func damaged(err error) error {
	var e sqliteError
	if !errors.As(err, &e) || errors.Is(err, errRebuild) {
		return err
	}
	switch e.Code() {
	case sqlitelib.SQLITE_IOERR_SHORT_READ, sqlitelib.SQLITE_READONLY_DBMOVED:
		return fmt.Errorf("%w: the file was cut or moved away: %w", errRebuild, err)
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_CORRUPT, sqlitelib.SQLITE_NOTADB, sqlitelib.SQLITE_SCHEMA,
		sqlitelib.SQLITE_ERROR, sqlitelib.SQLITE_CONSTRAINT:
		// ERROR is a table or column that is not there: every statement is fixed
		// and tested, so it is the file that is wrong.
		return fmt.Errorf("%w: %w", errRebuild, err)
	}
	return err
}
