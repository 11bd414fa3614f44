package broker_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/logtest"
)

// written is how many records each topic has in the directory that is damaged.
const written = 12

// soundDirectory is the directory of a broker that was stopped in an orderly way
// or killed, with records, offsets and a group.
func soundDirectory(t *testing.T, killed bool) string {
	t.Helper()
	dir := t.TempDir()
	c := startChild(t, childGuarded, dir)
	cl := kafkatest.Client(t, c.addr)
	create(t, cl, "tasks", map[string]string{"segment.bytes": "200000"})
	create(t, cl, "kept", map[string]string{"cleanup.policy": "compact", "retention.ms": "-1"})
	for _, topic := range []string{"tasks", "kept"} {
		write(t, cl, topic, written, func(i int) string { return fmt.Sprintf("%s-%d", topic, i) })
	}
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: "tasks", At: written, LeaderEpoch: -1})
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "g", offsets); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ends are noted", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "log", "floors.json"))
		return err == nil && strings.Contains(string(text), `"tasks-0":{`) &&
			strings.Count(string(text), fmt.Sprintf(`"end":%d`, written)) == 2
	})
	if killed {
		c.kill()
		return dir
	}
	c.stdin.Close()
	c.waitExit(t)
	return dir
}

// copyOf is a copy that can be damaged.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return out
}

// files lists the engine's and the broker's files.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(dir, "log"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, relErr := filepath.Rel(dir, path)
			out, err = append(out, rel), relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// startDamaged starts a broker on a damaged directory. It may refuse, but then it
// names the file.
func startDamaged(t *testing.T, dir, file string) (addr string, stop func(), log *logtest.Buffer) {
	t.Helper()
	log = new(logtest.Buffer)
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0", DataDir: dir, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	select {
	case <-b.Ready():
	case err := <-ended:
		cancel()
		if !strings.Contains(err.Error(), filepath.Base(file)) {
			t.Errorf("%s: %v does not name it", file, err)
		}
		return "", nil, log
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: the broker ended with %v", file, err)
		}
	})
	t.Cleanup(stop)
	return b.Addr(), stop, log
}

// mustGoOn checks that all but a few records are there, that a new one gets an
// offset of its own, and that everybody reads it.
func mustGoOn(t *testing.T, addr, what string, mayLose int) {
	t.Helper()
	for _, topic := range []string{"tasks", "kept"} {
		r := &kgo.Record{Topic: topic, Value: []byte("new"), Key: []byte("new")}
		if err := kafkatest.Client(t, addr).ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if r.Offset < written {
			t.Errorf("%s: a new record of %s got offset %d, which has been in use", what, topic, r.Offset)
		}
		found := readUpTo(t, addr, r)
		if len(found) < written-mayLose+1 {
			t.Errorf("%s: %d of %d records of %s are there", what, len(found)-1, written, topic)
		}
	}
}

// readUpTo reads a topic from its start to a record and returns the keys.
func readUpTo(t *testing.T, addr string, last *kgo.Record) map[string]bool {
	t.Helper()
	cl := kafkatest.Client(t, addr, kgo.ConsumeTopics(last.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	found := make(map[string]bool)
	for seen := false; !seen; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Errorf("read %s up to %d: %v", last.Topic, last.Offset, err)
			return found
		}
		fetches.EachRecord(func(got *kgo.Record) {
			found[string(got.Key)] = true
			seen = seen || got.Offset == last.Offset
		})
	}
	return found
}

// TestFlippedBitAnywhere: the broker starts or names the file, what is not in the
// damaged batch is there, and what is new is read by everybody.
func TestFlippedBitAnywhere(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		sound := soundDirectory(t, killed)
		for _, file := range files(t, sound) {
			t.Run(fmt.Sprintf("killed %t/%s", killed, file), func(t *testing.T) {
				t.Parallel()
				info, err := os.Stat(filepath.Join(sound, file))
				if err != nil {
					t.Fatal(err)
				}
				size := info.Size()
				step := max(1, size/4)
				if strings.HasSuffix(file, ".dat") {
					step = 37
				}
				for at := int64(0); at < size; at += step {
					dir := copyOf(t, sound)
					flip(t, filepath.Join(dir, file), at, uint(at%8))
					if addr, stop, _ := startDamaged(t, dir, file); addr != "" {
						mustGoOn(t, addr, fmt.Sprintf("%s at byte %d", file, at), 1)
						stop()
					}
					if t.Failed() {
						return
					}
				}
			})
		}
	}
}

func flip(t *testing.T, path string, at int64, bit uint) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << bit
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

// TestTailIsCut: whatever is cut off, or removed, offsets are not used twice.
func TestTailIsCut(t *testing.T) {
	t.Parallel()
	sound := soundDirectory(t, true)
	for _, file := range files(t, sound) {
		for _, keep := range []int64{-30, -1, 1, 0, -1 << 40} {
			dir := copyOf(t, sound)
			path := filepath.Join(dir, file)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case keep == -1<<40:
				err = os.Remove(path)
			case keep < 0:
				err = os.Truncate(path, max(0, info.Size()+keep))
			default:
				err = os.Truncate(path, min(keep, info.Size()))
			}
			if err != nil {
				t.Fatal(err)
			}
			if addr, stop, _ := startDamaged(t, dir, file); addr != "" {
				lost := 0
				if strings.HasSuffix(file, ".dat") {
					lost = written
				}
				mustGoOn(t, addr, fmt.Sprintf("%s cut to %d", file, keep), lost)
				stop()
			}
		}
	}
}

// TestTailIsCutBeforeItsEndWasNoted: the offsets of what is lost are not given again,
// though nothing tells how many those were.
func TestTailIsCutBeforeItsEndWasNoted(t *testing.T) {
	t.Parallel()
	sound := soundDirectory(t, true)
	for _, file := range files(t, sound) {
		if !strings.HasSuffix(file, ".dat") || strings.Contains(file, "kept") {
			continue
		}
		dir := copyOf(t, sound)
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, file), info.Size()-30); err != nil {
			t.Fatal(err)
		}
		for _, noted := range []string{"floors.json", "groups.json", "groups.log"} {
			if err := os.RemoveAll(filepath.Join(dir, "log", noted)); err != nil {
				t.Fatal(err)
			}
		}
		if addr, stop, _ := startDamaged(t, dir, file); addr != "" {
			mustGoOn(t, addr, file, written)
			stop()
		}
	}
}

// TestDirectoryIsRemoved: of a partition, and all.
func TestDirectoryIsRemoved(t *testing.T) {
	t.Parallel()
	sound := soundDirectory(t, false)
	for _, name := range []string{"log/partitions/tasks-0", "log/partitions"} {
		dir := copyOf(t, sound)
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		addr, stop, log := startDamaged(t, dir, name)
		mustGoOn(t, addr, name, written)
		stop()
		if !strings.Contains(log.String(), "tasks-0") ||
			!strings.Contains(log.String(), fmt.Sprint("goes_on_at=", written+1<<20)) {
			t.Errorf("the log does not say what is lost:\n%s", log)
		}
	}
}

// TestFlippedWhileRunning: a reader gets all but the damaged batch, without an
// error, and the log says it once.
func TestFlippedWhileRunning(t *testing.T) {
	t.Parallel()
	dir := soundDirectory(t, true)
	addr, _, log := startDamaged(t, dir, "")
	if n := len(readAll(t, addr, "tasks")); n != written {
		t.Fatalf("%d records, want %d", n, written)
	}
	path := filepath.Join(dir, "log", "partitions", "tasks-0", "0.dat")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, path, info.Size()/2+40, 3)
	mustGoOn(t, addr, "a bit flipped while running", 1)
	if lines := strings.Count(log.String(), "\n"); lines > 60 {
		t.Errorf("%d lines in the log", lines)
	}
	for _, part := range []string{"0.dat", "at_byte=", "first_lost_offset=", "status=lost"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log does not say %s", part)
		}
	}
}

// TestDataIsPrivate: nobody else reads it, and no link is followed.
func TestDataIsPrivate(t *testing.T) {
	t.Parallel()
	dir := soundDirectory(t, false)
	err := filepath.WalkDir(filepath.Join(dir, "log"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "log", "partitions", "tasks-0", "99.dat")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	if addr, _, _ := startDamaged(t, dir, "99.dat"); addr != "" {
		t.Error("the broker follows a symbolic link")
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "precious" {
		t.Errorf("the file behind the link is %q, %v", text, err)
	}
}
