// Package damage finds what is damaged in a broker's directory before the broker reads it,
// and keeps what can be kept.
package damage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// notedEnds are where partitions have ended. No partition ends below that again: what is written next would get an
// offset that groups have committed already, and count as done.
//
// The engine knows the end of a partition from its last segment only, which is
// wrong when retention has removed all of them, or when they have been damaged.
type notedEnds struct {
	// Boot is the start of the machine in which this was noted.
	Boot string `json:"boot"`
	// Clean says that the broker has stopped since in an orderly way.
	Clean bool           `json:"clean"`
	Ends  map[string]End `json:"ends"` // by the partition's directory
}

// End is the end of one partition of a topic, which may have been made anew under the same name.
type End struct {
	TopicID string `json:"id"`
	Offset  int64  `json:"end"` // of the next record
}

const (
	// crashMargin is how many records a partition may have got in the seconds in
	// which neither they nor its noted end were on the disk when the machine stopped.
	crashMargin = 1 << 20
	// commitMargin is how far beyond a noted end a committed offset is believed.
	commitMargin = 1 << 20
)

// bootID tells one start of the machine from another; "" if the system does not.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// write notes the ends. Synced ones survive a power cut.
func (n notedEnds) write(dir string, synced bool) error {
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("note ends of partitions: %w", err)
	}
	return wrap("note ends of partitions", logdir.WriteChecked(filepath.Join(dir, endsFile), text, synced))
}

// readEnds reads them. Without any, or with damaged ones, partitions end where their records do.
func (i inspection) readEnds() notedEnds {
	path := filepath.Join(i.dir, endsFile)
	n := notedEnds{Ends: make(map[string]End)}
	text, err := logdir.ReadChecked(path)
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return n
	}
	old := make(map[string]int64) // as it was before it had a checksum
	if text, readErr := os.ReadFile(path); readErr == nil && json.Unmarshal(text, &old) == nil {
		for name, end := range old {
			n.Ends[name] = End{Offset: end}
		}
		return n
	}
	i.log.Error("the noted ends of partitions are damaged; should records be damaged too, their offsets may be used again",
		"file", path, "error", err)
	return notedEnds{Ends: make(map[string]End)}
}

// of is the offset below which a partition must not end.
func (n notedEnds) of(name string, t persistedTopic, commit int64) int64 {
	noted := n.Ends[name]
	end := noted.Offset
	if noted.TopicID != "" && noted.TopicID != t.ID {
		return 0 // of a topic that is gone
	}
	if now := bootID(); end > 0 && !n.Clean && n.Boot != "" && now != "" && n.Boot != now {
		end += crashMargin
	}
	if commit <= end+commitMargin {
		end = max(end, commit)
	}
	return end
}
