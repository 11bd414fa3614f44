package broker

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// floorsFile notes where each partition ended before retention was applied.
//
// The engine knows the end of a partition from its last segment only. One that
// retention has emptied would begin at offset 0 again after a restart, below
// the offsets that its consumer groups have committed; what is written next
// would count as done already, and never run.
const floorsFile = "floors.json"

// writeFloors notes the ends by directory, so that they survive a kill at any later time.
func writeFloors(dir string, ends map[string]int64) error {
	text, err := json.Marshal(ends)
	if err != nil {
		return fmt.Errorf("note ends of partitions: %w", err)
	}
	path := filepath.Join(dir, floorsFile)
	if err := writeSynced(path+".new", text); err != nil {
		return fmt.Errorf("note ends of partitions: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("note ends of partitions: %w", err)
	}
	return nil
}

// raiseFloors gives every partition that has no segment left one with a marker
// just below its noted end. It runs before the engine opens the directory. A
// partition without a directory belongs to a topic that was deleted, or made
// anew since.
func raiseFloors(dir string, now time.Time) error {
	text, err := os.ReadFile(filepath.Join(dir, floorsFile))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read ends of partitions: %w", err)
	}
	var ends map[string]int64
	if err := json.Unmarshal(text, &ends); err != nil {
		return fmt.Errorf("read ends of partitions in %s: %w", floorsFile, err)
	}
	for name, end := range ends {
		partitionDir := filepath.Join(dir, partitionsDir, name)
		if _, err := os.Stat(partitionDir); err != nil || end < 1 {
			continue
		}
		bases, err := segmentBases(partitionDir)
		if err != nil {
			return fmt.Errorf("list segments of %s: %w", name, err)
		}
		if len(bases) > 0 {
			continue
		}
		if err := writeSynced(segmentFile(partitionDir, end-1, segmentSuffix), markerBatch(end-1, now)); err != nil {
			return fmt.Errorf("restore end of %s: %w", name, err)
		}
	}
	return nil
}

// writeSynced writes a file and waits until it is on the disk.
func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}
