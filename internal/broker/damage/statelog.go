package damage

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// The engine's logs of offsets and of producers are entries of: a length (4 bytes, little endian), a checksum (4), a
// version (2, counted in the length), JSON. The engine stops reading at the first that is damaged.
const (
	entryHeaderBytes = 10
	maxEntryBytes    = 1 << 20
)

// stateLogs takes damaged entries out of the engine's logs, and returns the
// highest offset that was committed in each partition, whatever the group.
func (i inspection) stateLogs() (map[logdir.Partition]int64, error) {
	commits := make(map[logdir.Partition]int64)
	err := i.stateLog(groupsFile, "offsets that were committed last may be lost: what was read since is read again",
		func(entry []byte) bool {
			var e struct {
				Type   string `json:"type"`
				Topic  string `json:"t"`
				Part   int32  `json:"p"`
				Offset int64  `json:"o"`
			}
			if json.Unmarshal(entry, &e) != nil {
				return false
			}
			key := logdir.Partition{Topic: e.Topic, Number: e.Part}
			switch e.Type {
			case "commit":
				commits[key] = max(commits[key], e.Offset)
			case "delete":
				delete(commits, key) // the topic, most likely; what is left is committed again
			}
			return true
		})
	if err != nil {
		return nil, err
	}
	return commits, i.stateLog(pidsFile, "what a producer sends twice may be stored twice", json.Valid)
}

// stateLog takes damaged entries out of one log.
func (i inspection) stateLog(name, consequence string, sound func(entry []byte) bool) error {
	path := filepath.Join(i.dir, name)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	var kept []byte
	damagedAt := -1
	for pos := 0; pos < len(raw); {
		if n := entryBytes(raw[pos:]); n > 0 && sound(raw[pos+entryHeaderBytes:pos+n]) {
			kept = append(kept, raw[pos:pos+n]...)
			pos += n
			continue
		}
		if damagedAt < 0 {
			damagedAt = pos
		}
		pos++ // to the next that is whole
	}
	if damagedAt < 0 {
		return nil
	}
	aside, err := i.keepDamaged(path)
	if err != nil {
		return fmt.Errorf("keep damaged state %s: %w", path, err)
	}
	i.log.Error("a file of the embedded broker is damaged; what can be read of it is kept", "file", path,
		"at_byte", damagedAt, "lost_bytes", len(raw)-len(kept), "consequence", consequence, "as_it_was", aside)
	return wrap("repair state", logdir.ReplaceFile(path, kept))
}

// entryBytes is the size of the entry at the start of raw, 0 if there is no whole one.
func entryBytes(raw []byte) int {
	if len(raw) < entryHeaderBytes {
		return 0
	}
	n := int64(binary.LittleEndian.Uint32(raw)) + 8
	if n < entryHeaderBytes || n > maxEntryBytes || n > int64(len(raw)) {
		return 0
	}
	if logdir.Checksum(raw[8:n]) != binary.LittleEndian.Uint32(raw[4:]) {
		return 0
	}
	return int(n)
}
