package broker

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// backupDir holds the segments of the partitions being compacted.
const backupDir = "compaction"

// backup is the state before a compaction. The engine compacts by removing a partition's segments and writing new
// ones: killed in between, or with a full disk, it would lose what is neither here nor there, for instance tasks
// that wait. So the old segments are linked under a second name until the new ones are there to the last record.
type backup struct {
	dir string // the engine's
}

// makeBackup links the segments of partitions. Links cost no space; what the new segments may take is checked.
func makeBackup(dir string, partitions []logdir.Partition) (backup, error) {
	b := backup{dir: dir}
	if err := b.drop(); err != nil {
		return b, err
	}
	var bytes uint64
	for _, p := range partitions {
		n, err := logdir.LinkSegments(b.now(p.Name()), b.before(p.Name()))
		if err != nil {
			return b, fmt.Errorf("keep segments of %s: %w", p.Name(), err)
		}
		bytes += n
	}
	free, err := logdir.FreeBytes(dir)
	if err == nil && free < bytes+freeReserveBytes {
		err = fmt.Errorf("%d bytes free, up to %d needed", free, bytes+freeReserveBytes)
	}
	return b, err
}

// freeReserveBytes is what a compaction leaves free for new records.
const freeReserveBytes = 64 << 20

func (b backup) before(name string) string { return filepath.Join(b.dir, backupDir, name) }
func (b backup) now(name string) string    { return filepath.Join(logdir.PartitionsPath(b.dir), name) }

// covered reports whether the new segments of a partition are complete. The engine writes them in order and always
// keeps the last batch, so they are when they reach as far as the old ones. They may reach further.
func (b backup) covered(name string) (bool, error) {
	before, err := logdir.EndOffset(b.before(name))
	if err != nil {
		return false, err
	}
	now, err := logdir.EndOffset(b.now(name))
	return now >= before, err
}

// restore puts back what a compaction has not completed, and drops the rest. It runs before the engine opens the
// directory, and can itself be killed and run again: the last segment is put back last.
func (b backup) restore() error {
	names, err := logdir.Subdirectories(filepath.Join(b.dir, backupDir))
	if err != nil {
		return err
	}
	for _, name := range names {
		whole, err := b.covered(name)
		if err != nil {
			return err
		}
		if whole {
			continue
		}
		if err := logdir.RemoveSegments(b.now(name)); err != nil {
			return err
		}
		if _, err := logdir.LinkSegments(b.before(name), b.now(name)); err != nil {
			return err
		}
	}
	return b.drop()
}

// drop removes the backup.
func (b backup) drop() error { return os.RemoveAll(filepath.Join(b.dir, backupDir)) }
