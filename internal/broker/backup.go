package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// backupDir holds the segments of the partitions being compacted.
const backupDir = "compaction"

// backup is the state before a compaction. The engine compacts by removing a
// partition's segments and writing new ones: killed in between, or with a full
// disk, it would lose what is neither here nor there, for instance tasks that
// wait. So the old segments are linked under a second name until the new ones
// are there to the last record.
type backup struct {
	dir string // the engine's
}

// makeBackup links the segments of partitions. Links cost no space; what the new
// segments may take is checked.
func makeBackup(dir string, partitions []partition) (backup, error) {
	b := backup{dir: dir}
	if err := b.drop(); err != nil {
		return b, err
	}
	var bytes uint64
	for _, p := range partitions {
		n, err := linkSegments(b.now(p.name()), b.before(p.name()))
		if err != nil {
			return b, fmt.Errorf("keep segments of %s: %w", p.name(), err)
		}
		bytes += n
	}
	free, err := freeBytes(dir)
	if err == nil && free < bytes+freeReserveBytes {
		err = fmt.Errorf("%d bytes free, up to %d needed", free, bytes+freeReserveBytes)
	}
	return b, err
}

// freeReserveBytes is what a compaction leaves free for new records.
const freeReserveBytes = 64 << 20

func (b backup) before(name string) string { return filepath.Join(b.dir, backupDir, name) }
func (b backup) now(name string) string    { return filepath.Join(b.dir, partitionsDir, name) }

// covered reports whether the new segments of a partition are complete. The
// engine writes them in order and always keeps the last batch, so they are when
// they reach as far as the old ones. They may reach further.
func (b backup) covered(name string) (bool, error) {
	before, err := endOffset(b.before(name))
	if err != nil {
		return false, err
	}
	now, err := endOffset(b.now(name))
	return now >= before, err
}

// restore puts back what a compaction has not completed, and drops the rest. It
// runs before the engine opens the directory, and can itself be killed and run
// again: the last segment is put back last.
func (b backup) restore() error {
	names, err := subdirectories(filepath.Join(b.dir, backupDir))
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
		if err := removeSegments(b.now(name)); err != nil {
			return err
		}
		if _, err := linkSegments(b.before(name), b.now(name)); err != nil {
			return err
		}
	}
	return b.drop()
}

// drop removes the backup.
func (b backup) drop() error { return os.RemoveAll(filepath.Join(b.dir, backupDir)) }

// linkSegments links the segments of one directory into another, in the order
// of their offsets, and returns their size. The index goes first: a segment
// without one would count as complete.
func linkSegments(from, to string) (bytes uint64, err error) {
	bases, err := segmentBases(from)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return 0, err
	}
	for _, base := range bases {
		err := os.Link(segmentFile(from, base, indexSuffix), segmentFile(to, base, indexSuffix))
		if err != nil && !os.IsNotExist(err) {
			return 0, err
		}
		if err := os.Link(segmentFile(from, base, segmentSuffix), segmentFile(to, base, segmentSuffix)); err != nil {
			return 0, err
		}
		if info, err := os.Stat(segmentFile(to, base, segmentSuffix)); err == nil {
			bytes += uint64(info.Size())
		}
	}
	return bytes, nil
}

// removeSegments removes segments and indexes, the last first.
func removeSegments(dir string) error {
	bases, err := segmentBases(dir)
	if err != nil {
		return err
	}
	for _, base := range slices.Backward(bases) {
		for _, suffix := range []string{segmentSuffix, indexSuffix} {
			if err := os.Remove(segmentFile(dir, base, suffix)); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	return nil
}
