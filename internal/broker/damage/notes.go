package damage

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// The broker's own files beside the engine's.
const (
	// endsFile notes where each partition ends.
	endsFile = "floors.json"
	// topicsCopyFile is a copy of the engine's list of topics.
	topicsCopyFile = "topics.copy"
	// sumsFile notes the checksums of what the engine wrote at its last stop.
	sumsFile = "sums.json"
)

// Notes are what is written down beside the engine's own files while it runs, for the inspection before the next
// start: where partitions end, and what topics there are. They are safe for concurrent use.
type Notes struct {
	dir string // the engine's

	mu     sync.Mutex
	noted  map[string]End
	synced map[string]End
	topics os.FileInfo // when the list of topics was copied
}

// NewNotes writes notes into the engine's directory.
func NewNotes(dir string) *Notes { return &Notes{dir: dir} }

// TopicID is the text of a topic's id as the engine writes it.
func TopicID(id [16]byte) string { return base64.StdEncoding.EncodeToString(id[:]) }

// Write notes the ends of partitions that find returns, by the names of their
// directories, if they have changed. Synced notes survive a power cut.
func (n *Notes) Write(find func() map[string]End, synced bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.copyTopics(); err != nil {
		return err
	}
	ends := find()
	if maps.Equal(ends, n.noted) && (!synced || maps.Equal(ends, n.synced)) {
		return nil
	}
	if err := (notedEnds{Boot: bootID(), Ends: ends}).write(n.dir, synced); err != nil {
		return err
	}
	n.noted = ends
	if synced {
		n.synced = ends
	}
	return nil
}

// copyTopics copies the engine's list of topics when it has changed.
func (n *Notes) copyTopics() error {
	path := filepath.Join(n.dir, topicsFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && n.topics != nil && os.SameFile(info, n.topics) &&
		info.ModTime().Equal(n.topics.ModTime()) {
		return nil
	}
	if err != nil {
		return wrap("copy the list of topics", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return wrap("copy the list of topics", err)
	}
	if _, bad := parseTopics(text); bad != nil {
		return nil //nolint:nilerr // it is being written, or has been damaged
	}
	n.topics = info
	return wrap("copy the list of topics", logdir.WriteChecked(filepath.Join(n.dir, topicsCopyFile), text, true))
}

// NoteStop notes, after the engine's orderly stop, what it has written.
func NoteStop(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, topicsFile))
	if err != nil {
		return wrap("note the stop", err)
	}
	topics, err := parseTopics(text)
	if err != nil {
		return err
	}
	ends := notedEnds{Boot: bootID(), Clean: true, Ends: make(map[string]End)}
	for _, t := range topics.Topics {
		for number := range int32(t.Partitions) {
			p := logdir.Partition{Topic: t.Name, Number: number}
			if end := snapshotEnd(filepath.Join(p.Path(dir), snapshotFile)); end > 0 {
				ends.Ends[p.Name()] = End{t.ID, end}
			}
		}
	}
	if err := ends.write(dir, true); err != nil {
		return err
	}
	if err := logdir.WriteChecked(filepath.Join(dir, topicsCopyFile), text, true); err != nil {
		return wrap("copy the list of topics", err)
	}
	return writeSums(dir)
}
