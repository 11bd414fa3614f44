package taskview

import (
	"context"
	"errors"
	"time"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/aiecs/tasklane/internal/pace"
)

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
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED, sqlitelib.SQLITE_NOMEM, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_READONLY:
		return true
	}
	return false
}
