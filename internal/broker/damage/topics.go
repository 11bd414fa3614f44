package damage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// persistedTopics is the engine's list of topics.
type persistedTopics struct {
	Version int              `json:"version"`
	Topics  []persistedTopic `json:"topics"`
}

type persistedTopic struct {
	Name       string            `json:"name"`
	ID         string            `json:"id"`
	Partitions int               `json:"partitions"`
	Replicas   int               `json:"replicas"`
	Configs    map[string]string `json:"configs,omitempty"`
}

// topics reads the engine's list of topics, from its copy if it is damaged. It is nil for a directory that is new.
func (i inspection) topics() (*persistedTopics, error) {
	path := filepath.Join(i.dir, topicsFile)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read topics: %w", err)
	}
	copied, copyErr := logdir.ReadChecked(filepath.Join(i.dir, topicsCopyFile))
	list, bad := parseTopics(text)
	if bad == nil && (copyErr != nil || !oneByteOff(text, copied)) {
		return list, nil //nolint:nilerr // without a sound copy what can be read is believed
	}
	if copyErr == nil {
		if list, err := parseTopics(copied); err == nil {
			i.log.Error("the list of topics is damaged or missing; its copy is taken", "file", path, "problem", problem(bad))
			return list, wrap("restore topics", logdir.ReplaceFile(path, copied))
		}
	}
	if err != nil && !i.used() {
		return nil, nil //nolint:nilerr // it has never been written: the directory is new
	}
	return nil, fmt.Errorf("%s is damaged or missing (%s) and so is its copy %s: restore one of them from a backup, "+
		"or move the directory %s away to begin without what is in it", path, problem(bad), topicsCopyFile, i.dir)
}

func problem(err error) string {
	if err == nil {
		return "it differs from its copy in one byte"
	}
	return err.Error()
}

// used reports whether there is anything of worth.
func (i inspection) used() bool {
	names, _ := logdir.Subdirectories(logdir.PartitionsPath(i.dir))
	_, err := os.Stat(filepath.Join(i.dir, groupsFile))
	return len(names) > 0 || err == nil
}

func parseTopics(text []byte) (*persistedTopics, error) {
	list := new(persistedTopics)
	if err := json.Unmarshal(text, list); err != nil {
		return nil, fmt.Errorf("read topics: %w", err)
	}
	seen := make(map[string]bool, len(list.Topics))
	for _, t := range list.Topics {
		if !logdir.IsTopicName(t.Name) || seen[t.Name] || len(t.ID) != 24 || t.Partitions < 0 ||
			t.Partitions > logdir.MaxPartitions {
			return nil, fmt.Errorf("read topics: %.40q with %d partitions makes no sense", t.Name, t.Partitions)
		}
		seen[t.Name] = true
	}
	if list.Version != 1 {
		return nil, fmt.Errorf("read topics: version %d is not known", list.Version)
	}
	return list, nil
}

// oneByteOff reports whether two texts differ in one byte, which is what a flipped bit makes of one.
func oneByteOff(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	n := 0
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n == 1
}
