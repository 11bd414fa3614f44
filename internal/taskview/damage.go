package taskview

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/schemas"
)

// A bit that a disk has turned is no error for SQLite where it stands in a text, a
// number or a blob. Every row of the view has a checksum for that.

// sum is the checksum of a task's row. The last four are as they are stored.
func (r *row) sum(labels, waiting, progress, stored string) int64 {
	t := &r.task
	b := make([]byte, 0, 512)
	for _, s := range []string{
		t.TaskID, t.UserID, t.Lane, string(t.Status), t.TaskName, t.Mode, t.Service, t.BatchID, t.RetryOf, labels,
		t.Message, t.Error, string(t.ErrorCode), t.DuplicateOf, t.Worker, waiting, progress, stored,
	} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	deferred := 0
	if t.Deferred {
		deferred = 1
	}
	for _, n := range []int64{
		r.id, int64(t.Partition), t.Offset, t.LastOffset, int64(deferred), int64(t.Attempt), int64(t.Step), int64(t.Priority),
		milliOf(t.NextAttemptAt), milliOf(&t.CreatedAt), milliOf(t.StartedAt), milliOf(&t.UpdatedAt), milliOf(t.EndedAt),
		int64(t.Repeats), int64(t.Events), int64(t.EventsOmitted), t.FirstEvent,
	} {
		b = binary.AppendVarint(b, n)
	}
	return int64(crc32.ChecksumIEEE(b))
}

// milliOf is a time as it is read again.
func milliOf(t *schemas.Time) int64 {
	if t == nil {
		return -1
	}
	return min(max(t.UnixMilli(), 0), maxTimeMS)
}

// sumOf is the checksum of a payload.
func sumOf(data []byte) int64 { return int64(crc32.ChecksumIEEE(data)) }

// checkSum compares a payload with its checksum.
func checkSum(data []byte, sum int64) error {
	if sumOf(data) != sum {
		return fmt.Errorf("%w: a payload of %d bytes is damaged", errRebuild, len(data))
	}
	return nil
}

// printOf tells a record from another one at its offset.
func printOf(r *kgo.Record) int64 {
	sum := crc32.Update(crc32.ChecksumIEEE(r.Value), crc32.IEEETable, r.Key)
	return int64(sum) ^ r.Timestamp.UnixMilli()<<20
}

// sumOfPlace is the checksum of a name and the numbers stored with it.
func sumOfPlace(name string, numbers ...int64) int64 {
	b := []byte(name)
	for _, n := range numbers {
		b = binary.AppendVarint(b, n)
	}
	return sumOf(b)
}

const (
	// inspectAfter is when an opened file is inspected, and inspectEvery how often
	// after that; inspectTimeout is how long that may take. It runs beside
	// everything else, on a connection of its own.
	inspectAfter   = 5 * time.Second
	inspectEvery   = 24 * time.Hour
	inspectTimeout = time.Minute
)

// inspect ends the session for a file that is damaged: if a query has met that, or
// SQLite's own check of tables and indexes finds it. An index with a hole in it
// makes no query fail, it only hides what it does not hold.
func (s *session) inspect(ctx context.Context) error {
	select {
	case err := <-s.view.damage:
		s.view.logger.Debug("damage that the session before met is no longer of interest", "error", err)
	default:
	}
	due := time.NewTimer(inspectAfter)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-s.view.damage:
			return err
		case <-due.C:
			if err := s.store.check(ctx); errors.Is(err, errRebuild) {
				return err
			}
			due.Reset(inspectEvery)
		}
	}
}

// check asks SQLite whether the file is whole.
func (s *store) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	var found string
	if err := s.checks.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return damaged(fmt.Errorf("check task view: %w", err))
	}
	if found != "ok" {
		return fmt.Errorf("%w: %.200s", errRebuild, found)
	}
	return nil
}
