package logdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/aiecs/tasklane/internal/broker/recordbatch"
)

// The names of a segment's files behind its first offset: its record batches, and what
// the engine remembers of each of them.
const (
	SegmentSuffix = ".dat"
	IndexSuffix   = ".idx"
)

// SegmentFile is the path of a segment or its index in a partition's directory.
func SegmentFile(dir string, base int64, suffix string) string {
	return filepath.Join(dir, strconv.FormatInt(base, 10)+suffix)
}

// SegmentBases lists the first offsets of the segments in a partition's directory,
// ascending; none if there is no such directory.
func SegmentBases(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var out []int64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), SegmentSuffix)
		if base, err := strconv.ParseInt(name, 10, 64); ok && err == nil {
			out = append(out, base)
		}
	}
	slices.Sort(out)
	return out, nil
}

// EndOffset is the offset after the last whole record in a partition's directory, 0 if
// there is none. It walks the batches as the engine does when it starts.
func EndOffset(dir string) (int64, error) {
	bases, err := SegmentBases(dir)
	if err != nil {
		return 0, err
	}
	for _, base := range slices.Backward(bases) {
		raw, err := os.ReadFile(SegmentFile(dir, base, SegmentSuffix))
		if err != nil {
			return 0, fmt.Errorf("read segment: %w", err)
		}
		if end := recordbatch.End(raw); end > 0 {
			return end, nil
		}
	}
	return 0, nil
}

// LinkSegments links the segments of one directory into another, in the order of their offsets, and returns their
// size. The index goes first: a segment without one would count as complete.
func LinkSegments(from, to string) (bytes uint64, err error) {
	bases, err := SegmentBases(from)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return 0, fmt.Errorf("link segments: %w", err)
	}
	for _, base := range bases {
		err := os.Link(SegmentFile(from, base, IndexSuffix), SegmentFile(to, base, IndexSuffix))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = os.Link(SegmentFile(from, base, SegmentSuffix), SegmentFile(to, base, SegmentSuffix))
		}
		if err != nil {
			return 0, fmt.Errorf("link segments: %w", err)
		}
		if info, err := os.Stat(SegmentFile(to, base, SegmentSuffix)); err == nil {
			bytes += uint64(info.Size())
		}
	}
	return bytes, nil
}

// RemoveSegments removes segments and indexes, the last first.
func RemoveSegments(dir string) error {
	bases, err := SegmentBases(dir)
	if err != nil {
		return err
	}
	for _, base := range slices.Backward(bases) {
		for _, suffix := range []string{SegmentSuffix, IndexSuffix} {
			if err := RemoveFile(SegmentFile(dir, base, suffix)); err != nil {
				return err
			}
		}
	}
	return nil
}
