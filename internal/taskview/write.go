package taskview

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	sqlitelib "modernc.org/sqlite/lib"

	"github.com/aiecs/tasklane/internal/pace"
)

// commit writes a batch in one transaction: rows, events and where the next
// batch starts, or nothing.
func (s *store) commit(ctx context.Context, b *batch) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, step := range []func(context.Context, *sql.Tx, *batch) error{
		writeRows, writePayloads, writeEvents, writeTexts, writeWebhooks, writeCheckpoint,
	} {
		if err := step(ctx, tx, b); err != nil {
			return damaged(err)
		}
	}
	if err := tx.Commit(); err != nil {
		return damaged(fmt.Errorf("commit task view: %w", err))
	}
	return nil
}

// begin starts a transaction and makes sure that the file is still this
// store's: two processes on one directory would overwrite each other's rows.
func (s *store) begin(ctx context.Context) (*sql.Tx, error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, damaged(fmt.Errorf("begin transaction: %w", err))
	}
	var owner string
	err = tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'owner'").Scan(&owner)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && !wellOwned(owner):
		err = fmt.Errorf("%w: it does not say whose it is", errRebuild)
	case err == nil && owner != s.owner:
		err = fmt.Errorf("%w: give every instance a data directory of its own", ErrTaken)
	}
	if err != nil {
		_ = tx.Rollback()
		return nil, damaged(err)
	}
	return tx, nil
}

// newOwner names an opened store, with a checksum: a damaged name is no other
// process.
func newOwner() string { return ownedBy(rand.Text()) }

func ownedBy(name string) string { return fmt.Sprintf("%s:%08x", name, sumOf([]byte(name))) }

func wellOwned(owner string) bool {
	name, _, _ := strings.Cut(owner, ":")
	return owner == ownedBy(name)
}

// prepared runs one statement for many values.
func prepared(ctx context.Context, tx *sql.Tx, query string, f func(exec func(...any) error) error) error {
	stmt, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return fmt.Errorf("prepare statement: %w", err)
	}
	defer func() { _ = stmt.Close() }()
	return f(func(args ...any) error {
		_, err := stmt.ExecContext(ctx, args...)
		return err
	})
}

func writeRows(ctx context.Context, tx *sql.Tx, b *batch) error {
	if len(b.rows) == 0 {
		return nil
	}
	return prepared(ctx, tx, upsertTaskSQL, func(exec func(...any) error) error {
		for _, r := range slices.SortedFunc(maps.Values(b.rows), func(a, b *row) int { return cmp.Compare(a.id, b.id) }) {
			values, err := taskValues(r)
			if err != nil {
				return err
			}
			if err := exec(values...); err != nil {
				return fmt.Errorf("write task %s: %w", r.task.TaskID, err)
			}
		}
		return nil
	})
}

func writePayloads(ctx context.Context, tx *sql.Tx, b *batch) error {
	for table, payloads := range map[string]map[int64][]byte{"records": b.records, "results": b.results} {
		if len(payloads) == 0 {
			continue
		}
		err := prepared(ctx, tx, "INSERT OR REPLACE INTO "+table+" VALUES (?, ?, ?)", func(exec func(...any) error) error {
			for _, id := range slices.Sorted(maps.Keys(payloads)) {
				if err := exec(id, payloads[id], sumOf(payloads[id])); err != nil {
					return fmt.Errorf("write %s: %w", table, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func writeEvents(ctx context.Context, tx *sql.Tx, b *batch) error {
	if len(b.events) == 0 {
		return nil
	}
	return prepared(ctx, tx, "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?)", func(exec func(...any) error) error {
		for _, e := range b.events {
			if err := exec(e.row, e.partition, e.offset, e.data, sumOf(e.data)); err != nil {
				return fmt.Errorf("write event at %d/%d: %w", e.partition, e.offset, err)
			}
		}
		return nil
	})
}

func writeTexts(ctx context.Context, tx *sql.Tx, b *batch) error {
	if len(b.texts) == 0 {
		return nil
	}
	// In order: the index writes out what it has collected before it goes back.
	slices.SortStableFunc(b.texts, func(a, b searchText) int { return cmp.Compare(a.rowid, b.rowid) })
	const query = "INSERT OR REPLACE INTO search (rowid, body) VALUES (?, ?)"
	return prepared(ctx, tx, query, func(exec func(...any) error) error {
		for _, t := range b.texts {
			if err := exec(t.rowid, t.body); err != nil {
				return fmt.Errorf("write search index: %w", err)
			}
		}
		return nil
	})
}

func writeCheckpoint(ctx context.Context, tx *sql.Tx, b *batch) error {
	for at, to := range b.next {
		sum := sumOfPlace(at.topic, int64(at.partition), to.next, int64(to.epoch), to.print)
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?)",
			at.topic, at.partition, to.next, to.epoch, to.print, sum)
		if err != nil {
			return fmt.Errorf("write position of %s/%d: %w", at.topic, at.partition, err)
		}
	}
	for shard, state := range b.folds {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO folds VALUES (?, ?, ?, ?)",
			shard, state.Epoch, state.Seq, sumOfPlace(shard, state.Epoch, state.Seq))
		if err != nil {
			return fmt.Errorf("write fold of %s: %w", shard, err)
		}
	}
	return nil
}

// retainStep is how many ended tasks one step of the retention deletes: few
// enough that a batch never waits long behind it.
const retainStep = 100

// retain deletes some of the tasks that ended before a time and reports whether
// there may be more.
func (s *store) retain(ctx context.Context, before time.Time) (more bool, err error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "DELETE FROM webhooks WHERE at_ms < ?", before.UnixMilli()); err != nil {
		return false, damaged(fmt.Errorf("delete old webhooks: %w", err))
	}
	ended, err := endedBefore(ctx, tx, before)
	if err != nil {
		return false, err
	}
	for _, task := range ended {
		id, text := task.id, searchRow(task.id, task.user)
		for _, statement := range []struct {
			query string
			id    int64
		}{
			{"DELETE FROM tasks WHERE id = ?", id}, {"DELETE FROM records WHERE id = ?", id},
			{"DELETE FROM results WHERE id = ?", id}, {"DELETE FROM events WHERE task = ?", id},
			{"DELETE FROM search WHERE rowid = ?", text}, {"DELETE FROM search WHERE rowid = ?", text + 1},
		} {
			if _, err := tx.ExecContext(ctx, statement.query, statement.id); err != nil {
				return false, damaged(fmt.Errorf("delete old task: %w", err))
			}
		}
	}
	return len(ended) == retainStep, damaged(tx.Commit())
}

// endedTask names a row that is to be deleted.
type endedTask struct {
	id   int64
	user string
}

func endedBefore(ctx context.Context, tx *sql.Tx, before time.Time) ([]endedTask, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id, user_id FROM tasks WHERE ended_ms < ? ORDER BY ended_ms LIMIT ?",
		before.UnixMilli(), retainStep)
	if err != nil {
		return nil, damaged(fmt.Errorf("list old tasks: %w", err))
	}
	defer func() { _ = rows.Close() }()
	var ended []endedTask
	for rows.Next() {
		var task endedTask
		if err := rows.Scan(&task.id, &task.user); err != nil {
			return nil, damaged(fmt.Errorf("list old tasks: %w", err))
		}
		ended = append(ended, task)
	}
	return ended, damaged(rows.Err())
}

// persist writes a batch, again and again while the disk is full or busy: the
// reader stops when the next batch is full, lookups go on from memory, and
// nothing has to be read twice when there is room again.
func (s *session) persist(ctx context.Context, b *batch) error {
	pauses := pace.Backoff{First: 100 * time.Millisecond, Longest: 5 * time.Second}
	for {
		err := s.store.commit(ctx, b)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !passing(err) {
			return err
		}
		s.view.logger.Error("task view cannot be written, it tries again; free space in its directory",
			"directory", s.view.config.Dir, "records", b.count, "error", err)
		if !pauses.Wait(ctx) {
			return context.Cause(ctx)
		}
	}
}

// passing reports whether the same write may succeed later.
func passing(err error) bool {
	var e sqliteError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED,
		sqlitelib.SQLITE_NOMEM, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_READONLY:
		return true
	}
	return false
}
