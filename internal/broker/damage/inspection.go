package damage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// The engine's files beside the partitions.
const (
	metaFile    = "meta.json"
	topicsFile  = "topics.json"
	groupsFile  = "groups.log"
	pidsFile    = "pids.log"
	windowsFile = "seq_windows.json"
	sessionFile = "session_state.json"
	// damagedDir keeps what was found damaged, as it was.
	damagedDir = "damaged"
)

// inspection looks at a data directory before the engine opens it. By itself the engine cuts a segment off at the
// first damaged batch and continues there, so that offsets which were committed are given out again; it forgets all
// that it knew when one of its small files is damaged; and it starts anew, over what is there, without meta.json.
type inspection struct {
	dir string // the engine's
	log *slog.Logger
	now time.Time
}

// Inspect repairs what can be repaired in the engine's directory, before the engine opens it, and names in the log
// what is lost. An error says why the engine must not start, and what to do.
func Inspect(dir string, log *slog.Logger, now time.Time) error {
	i := inspection{dir: dir, log: log, now: now}
	if _, err := os.Stat(i.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := Tighten(dir); err != nil {
		return err
	}
	topics, err := i.topics()
	if err != nil || topics == nil {
		return err
	}
	if err := i.meta(); err != nil {
		return err
	}
	if err := i.forgetUnused(); err != nil {
		return err
	}
	commits, err := i.stateLogs()
	if err != nil {
		return err
	}
	return i.partitions(topics, commits)
}

// Tighten gives the files of the engine's directory to their owner alone, and refuses
// links: what they point to would be written to.
func Tighten(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("look through the data directory: %w", err)
		case e.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a symbolic link, which the broker neither follows nor replaces; "+
				"remove it, or put what it points to in its place", path)
		case e.IsDir():
			err = os.Chmod(path, 0o700)
		case e.Type().IsRegular():
			err = os.Chmod(path, 0o600)
		default:
			return fmt.Errorf("%s is neither a file nor a directory; remove it", path)
		}
		if err != nil {
			return fmt.Errorf("keep the data directory to its owner: %w", err)
		}
		return nil
	})
}

// meta makes sure that the engine takes the directory for one that it knows.
func (i inspection) meta() error {
	want := []byte(`{"version":1,"cluster_id":"` + logdir.ClusterID + `"}`)
	path := filepath.Join(i.dir, metaFile)
	if got, err := os.ReadFile(path); err == nil && string(got) == string(want) {
		return nil
	}
	if err := logdir.ReplaceFile(path, want); err != nil {
		return fmt.Errorf("restore %s: %w", path, err)
	}
	return nil
}

// ForgetStart removes what the engine has noted of its last stop: it is true of one start only.
func ForgetStart(dir string) error { return logdir.RemoveFile(filepath.Join(dir, windowsFile)) }

// forgetUnused removes what the engine would read and nothing here uses, and what
// it remembers of a stop that was not the last or is damaged. Without the latter
// members join again, and what a producer sends twice is stored twice.
func (i inspection) forgetUnused() error {
	for _, name := range []string{"acls.json", "sasl.json", "quotas.json", "broker_configs.json"} {
		if err := logdir.RemoveFile(filepath.Join(i.dir, name)); err != nil {
			return err
		}
	}
	sums := readSums(i.dir)
	for _, name := range []string{windowsFile, sessionFile} {
		path := filepath.Join(i.dir, name)
		if sums.fits(i.dir, name) {
			continue
		}
		if _, noted := sums[name]; noted {
			if _, err := os.Stat(path); err == nil {
				i.log.Error("a file of the embedded broker is damaged; members of groups join again, "+
					"and what a producer sends twice may be stored twice", "file", path)
			}
		}
		if err := logdir.RemoveFile(path); err != nil {
			return err
		}
	}
	return nil
}

// wrap says what failed, if it did.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// keepDamaged keeps a file aside as it is.
func (i inspection) keepDamaged(path string) (kept string, err error) {
	rel, err := filepath.Rel(i.dir, path)
	if err != nil {
		return "", err
	}
	kept = filepath.Join(i.dir, damagedDir, fmt.Sprintf("%s.%s", rel, i.now.UTC().Format("20060102T150405.000")))
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return kept, logdir.WriteSynced(kept, data)
}
