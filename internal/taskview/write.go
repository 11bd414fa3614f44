package taskview

import (
	"context"
	"database/sql"
	"fmt"
	"time"
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
		writeRows, writePayloads, writeEvents, writeTexts, writeCheckpoint,
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
	if err == nil && owner != s.owner {
		err = fmt.Errorf("%w: give every instance a data directory of its own", ErrTaken)
	}
	if err != nil {
		_ = tx.Rollback()
		return nil, damaged(err)
	}
	return tx, nil
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
		for _, r := range b.rows {
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
		err := prepared(ctx, tx, "INSERT OR REPLACE INTO "+table+" VALUES (?, ?)", func(exec func(...any) error) error {
			for id, data := range payloads {
				if err := exec(id, data); err != nil {
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
	return prepared(ctx, tx, "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?)", func(exec func(...any) error) error {
		for _, e := range b.events {
			if err := exec(e.row, e.partition, e.offset, e.data); err != nil {
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
	return prepared(ctx, tx, "INSERT OR REPLACE INTO search (rowid, body) VALUES (?, ?)", func(exec func(...any) error) error {
		for _, t := range b.texts {
			if err := exec(t.rowid, t.body); err != nil {
				return fmt.Errorf("write search index: %w", err)
			}
		}
		return nil
	})
}

func writeCheckpoint(ctx context.Context, tx *sql.Tx, b *batch) error {
	for at, next := range b.next {
		if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", at.topic, at.partition, next); err != nil {
			return fmt.Errorf("write position of %s/%d: %w", at.topic, at.partition, err)
		}
	}
	for shard, state := range b.folds {
		if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO folds VALUES (?, ?, ?)", shard, state.Epoch, state.Seq); err != nil {
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
	ids, err := endedBefore(ctx, tx, before)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	for _, id := range ids {
		for _, statement := range []struct {
			query string
			id    int64
		}{
			{"DELETE FROM tasks WHERE id = ?", id}, {"DELETE FROM records WHERE id = ?", id},
			{"DELETE FROM results WHERE id = ?", id}, {"DELETE FROM events WHERE task = ?", id},
			{"DELETE FROM search WHERE rowid = ?", 2 * id}, {"DELETE FROM search WHERE rowid = ?", 2*id + 1},
		} {
			if _, err := tx.ExecContext(ctx, statement.query, statement.id); err != nil {
				return false, damaged(fmt.Errorf("delete old task: %w", err))
			}
		}
	}
	return len(ids) == retainStep, damaged(tx.Commit())
}

func endedBefore(ctx context.Context, tx *sql.Tx, before time.Time) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id FROM tasks WHERE ended_ms < ? ORDER BY ended_ms LIMIT ?", before.UnixMilli(), retainStep)
	if err != nil {
		return nil, damaged(fmt.Errorf("list old tasks: %w", err))
	}
	defer func() { _ = rows.Close() }()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("list old tasks: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, damaged(rows.Err())
}
