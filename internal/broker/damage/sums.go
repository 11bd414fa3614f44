package damage

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// sums are checksums of files, by their path inside the engine's directory.
type sums map[string]uint32

// readSums reads them; none if there are none.
func readSums(dir string) sums {
	s := make(sums)
	if text, err := logdir.ReadChecked(filepath.Join(dir, sumsFile)); err == nil {
		_ = json.Unmarshal(text, &s) // it is as it was written
	}
	return s
}

// fits reports whether a file is as it was noted.
func (s sums) fits(dir, name string) bool {
	want, noted := s[name]
	data, err := os.ReadFile(filepath.Join(dir, name))
	return noted && err == nil && logdir.Checksum(data) == want
}

// writeSums notes what the engine has written at its stop.
func writeSums(dir string) error {
	s := make(sums)
	names := []string{windowsFile, sessionFile}
	partitions, err := logdir.Subdirectories(logdir.PartitionsPath(dir))
	if err != nil {
		return err
	}
	for _, p := range partitions {
		names = append(names, filepath.Join(logdir.PartitionsPath(""), p, snapshotFile))
	}
	for _, name := range names {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			s[name] = logdir.Checksum(data)
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("note checksums: %w", err)
	}
	return logdir.WriteChecked(filepath.Join(dir, sumsFile), text, false)
}
