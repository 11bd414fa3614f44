package damage

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// entryOf is an entry of the engine's logs of offsets and producers.
func entryOf(text string) []byte {
	body := append([]byte{1, 0}, text...) // its version
	entry := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	entry = binary.LittleEndian.AppendUint32(entry, logdir.Checksum(body))
	return append(entry, body...)
}

func commitEntry(offset int) []byte {
	return entryOf(fmt.Sprintf(`{"type":"commit","g":"g","t":"tasks.fast","p":0,"o":%d}`, offset))
}

func stillStore(t *testing.T) *store {
	t.Helper()
	return newStore(t, rand.New(rand.NewPCG(7, 7)), false)
}

// TestStateLogsKeepWhatCanBeRead: the engine would stop at the first entry that is damaged.
func TestStateLogsKeepWhatCanBeRead(t *testing.T) {
	entries := [][]byte{commitEntry(3), commitEntry(5), entryOf(`{"type":"meta","g":"g"}`), commitEntry(4)}
	whole := slices.Concat(entries...)
	for at := 0; at < len(whole); at += 5 {
		s := stillStore(t)
		path := filepath.Join(s.dir, groupsFile)
		raw := slices.Clone(whole)
		raw[at] ^= 1 << (at % 8)
		write(t, path, raw)
		s.mustInspect(t)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for from, entry := 0, []byte(nil); len(entries) > 0 && from < len(whole); from += len(entry) {
			n := 0
			for _, e := range entries { // the entry that begins here
				if n == from {
					entry = e
				}
				n += len(e)
			}
			if at < from || at >= from+len(entry) {
				want = append(want, entry...)
			}
		}
		if string(got) != string(want) {
			t.Fatalf("with a bit flipped in byte %d there are %d bytes, want %d", at, len(got), len(want))
		}
		if kept := s.kept(t); len(kept) != 1 || !strings.Contains(s.log.String(), "groups.log") {
			t.Fatalf("kept %v, said %s", kept, s.log)
		}
	}
	for _, tail := range []int{1, entryHeaderBytes, len(entries[3]) - 1} {
		s := stillStore(t)
		path := filepath.Join(s.dir, pidsFile)
		write(t, path, whole[:len(whole)-len(entries[3])+tail])
		s.mustInspect(t)
		if got, err := os.ReadFile(path); err != nil || len(got) != len(whole)-len(entries[3]) {
			t.Errorf("with %d bytes of the last entry: %d bytes, %v", tail, len(got), err)
		}
	}
}

// TestCommitsHoldTheEnd: an offset that a group has committed is not given again, though the
// records before it are gone; one that makes no sense is not believed, nor that of a topic
// that was deleted since.
func TestCommitsHoldTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		log  [][]byte
		want func(s *store) int64
	}{
		"a commit above the end": {[][]byte{commitEntry(900), commitEntry(700)}, func(*store) int64 { return 900 }},
		"far above":              {[][]byte{commitEntry(1 << 40)}, func(s *store) int64 { return s.end }},
		"deleted since": {
			[][]byte{commitEntry(900), entryOf(`{"type":"delete","g":"g","t":"tasks.fast","p":0}`)},
			func(s *store) int64 { return s.end },
		},
		"of another partition": {
			[][]byte{entryOf(`{"type":"commit","t":"tasks.fast","p":1,"o":900}`)}, func(s *store) int64 { return s.end },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := stillStore(t)
			write(t, filepath.Join(s.dir, groupsFile), slices.Concat(test.log...))
			s.mustInspect(t)
			_, end := s.read(t)
			if want := test.want(s); end < want || want == s.end && end != want {
				t.Errorf("the partition ends at %d, want %d", end, want)
			}
		})
	}
}

// TestListOfTopics: it is taken from its copy if it is damaged. Without either, what is there
// cannot be told from nothing.
func TestListOfTopics(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(t *testing.T, list, copied string)
		copied bool   // the copy is taken
		fails  string // what the refusal names
	}{
		"sound":               {damage: func(*testing.T, string, string) {}},
		"the copy is missing": {damage: func(t *testing.T, _, copied string) { mustRemove(t, copied) }},
		"the copy is damaged": {damage: func(t *testing.T, _, copied string) { write(t, copied, []byte("x")) }},
		"the list is missing": {damage: func(t *testing.T, list, _ string) { mustRemove(t, list) }, copied: true},
		"the list is cut":     {damage: func(t *testing.T, list, _ string) { change(t, list, half) }, copied: true},
		"a version to come": {damage: func(t *testing.T, list, _ string) {
			change(t, list, replace(`"version":1`, `"version":2`))
		}, copied: true},
		"a topic's name is a bit": {damage: func(t *testing.T, list, _ string) { change(t, list, replace("fast", "fasu")) },
			copied: true},
		"both are missing": {damage: func(t *testing.T, list, copied string) {
			mustRemove(t, list)
			mustRemove(t, copied)
		}, fails: topicsFile},
		"both are damaged": {
			damage: func(t *testing.T, list, copied string) { change(t, list, half); change(t, copied, half) },
			fails:  topicsFile,
		},
		"a path in the place of a name": {
			damage: func(t *testing.T, list, copied string) {
				change(t, list, replace("tasks.fast", "../a.fast"))
				mustRemove(t, copied)
			},
			fails: topicsFile,
		},
		"the same topic twice": {
			damage: func(t *testing.T, list, copied string) {
				change(t, list, func(raw []byte) []byte {
					topic := raw[strings.Index(string(raw), "[")+1 : strings.LastIndex(string(raw), "]")]
					return []byte(strings.Replace(string(raw), string(topic), string(topic)+","+string(topic), 1))
				})
				mustRemove(t, copied)
			},
			fails: topicsFile,
		},
		"partitions beyond any bound": {
			damage: func(t *testing.T, list, copied string) {
				change(t, list, replace(`"partitions":1`, `"partitions":99999999`))
				mustRemove(t, copied)
			},
			fails: topicsFile,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := stillStore(t)
			s.note(t) // makes the copy
			list, copied := filepath.Join(s.dir, topicsFile), filepath.Join(s.dir, topicsCopyFile)
			sound, err := os.ReadFile(list)
			if err != nil {
				t.Fatal(err)
			}
			test.damage(t, list, copied)
			err = s.inspect()
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) || !strings.Contains(err.Error(), "backup") {
					t.Errorf("got %v, want a refusal that names %s and what to do", err, test.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(list); err != nil || string(got) != string(sound) {
				t.Errorf("the list is %s, %v", got, err)
			}
			if said := strings.Contains(s.log.String(), "its copy is taken"); said != test.copied {
				t.Errorf("said %q", s.log)
			}
		})
	}
}

func half(raw []byte) []byte { return raw[:len(raw)/2] }

func replace(old, with string) func([]byte) []byte {
	return func(raw []byte) []byte { return []byte(strings.ReplaceAll(string(raw), old, with)) }
}

func mustRemove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestNewDirectories: none, an empty one, and one that has what the engine writes before its
// first topic.
func TestNewDirectories(t *testing.T) {
	empty := t.TempDir()
	for _, dir := range []string{filepath.Join(empty, "none"), empty} {
		s := &store{dir: dir, log: stillStore(t).log}
		if err := s.inspect(); err != nil || s.log.String() != "" {
			t.Errorf("%v, said %s", err, s.log)
		}
	}
}

// TestNotedEnds: a partition does not end below what is noted, and above it by a margin if the
// machine has stopped since without the broker.
func TestNotedEnds(t *testing.T) {
	const noted = 500
	other, same := "another-start", bootID()
	for name, test := range map[string]struct {
		ends notedEnds
		want int64
	}{
		"noted": {notedEnds{Boot: same, Ends: map[string]End{"tasks.fast-0": {testTopicID, noted}}},
			noted},
		"of a topic that is gone": {notedEnds{Boot: same, Ends: map[string]End{"tasks.fast-0": {"other", noted}}}, 0},
		"of another partition": {notedEnds{Boot: same, Ends: map[string]End{"tasks.fast-1": {testTopicID, noted}}},
			0},
		"the machine has stopped": {notedEnds{Boot: other, Ends: map[string]End{"tasks.fast-0": {testTopicID, noted}}},
			noted + crashMargin},
		"in an orderly way": {notedEnds{Boot: other, Clean: true,
			Ends: map[string]End{"tasks.fast-0": {testTopicID, noted}}}, noted},
		"nobody knows of the machine":  {notedEnds{Ends: map[string]End{"tasks.fast-0": {testTopicID, noted}}}, noted},
		"without the topic's identity": {notedEnds{Boot: same, Ends: map[string]End{"tasks.fast-0": {Offset: noted}}}, noted},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := test.ends.write(dir, false); err != nil {
				t.Fatal(err)
			}
			i := inspection{dir: dir, log: nil}
			if got := i.readEnds().of("tasks.fast-0", persistedTopic{Name: "tasks.fast", ID: testTopicID}, 0); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// TestNotedEndsOfOldVersions had no checksum and no identities.
func TestNotedEndsOfOldVersions(t *testing.T) {
	s := stillStore(t)
	write(t, filepath.Join(s.dir, endsFile), []byte(`{"tasks.fast-0":400}`))
	s.mustInspect(t)
	if _, end := s.read(t); end < 400 {
		t.Errorf("the partition ends at %d, want 400 at least", end)
	}
	s = stillStore(t)
	write(t, filepath.Join(s.dir, endsFile), []byte(`damaged`))
	s.mustInspect(t)
	if _, end := s.read(t); end != s.end || !strings.Contains(s.log.String(), endsFile) {
		t.Errorf("the partition ends at %d, want %d; said %s", end, s.end, s.log)
	}
}

// TestNotesAreWrittenWhenSomethingHasChanged, and synced ones at least as often.
func TestNotesAreWrittenWhenSomethingHasChanged(t *testing.T) {
	s := stillStore(t)
	notes, path := NewNotes(s.dir), filepath.Join(s.dir, endsFile)
	ends := map[string]End{"tasks.fast-0": {testTopicID, 1}}
	written := func(synced bool) bool {
		t.Helper()
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := notes.Write(func() map[string]End { return maps.Clone(ends) }, synced); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(path)
		return err == nil
	}
	for step, want := range []struct {
		change         bool
		synced, writes bool
	}{{false, false, true}, {false, false, false}, {false, true, true}, {false, true, false}, {true, false, true},
		{true, true, true}} {
		if want.change {
			ends["tasks.fast-0"] = End{testTopicID, int64(step + 10)}
		}
		if got := written(want.synced); got != want.writes {
			t.Errorf("step %d: written %t, want %t", step, got, want.writes)
		}
	}
}

// TestStopIsNoted: what the engine wrote at its stop is believed at the next start if it is
// as it was then, and forgotten otherwise.
func TestStopIsNoted(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(t *testing.T, s *store)
		gone   []string
	}{
		"sound": {damage: func(*testing.T, *store) {}},
		"the windows of producers are damaged": {
			damage: func(t *testing.T, s *store) { change(t, filepath.Join(s.dir, windowsFile), half) },
			gone:   []string{windowsFile},
		},
		"so is the state of groups": {
			damage: func(t *testing.T, s *store) { change(t, filepath.Join(s.dir, sessionFile), half) },
			gone:   []string{sessionFile},
		},
		"the snapshot is of another end": {
			damage: func(t *testing.T, s *store) {
				write(t, s.snapshot(), fmt.Appendf(nil, `{"high_watermark":%d}`, s.end+5))
			},
			gone: []string{"snapshot"},
		},
		"the sums are damaged": {
			damage: func(t *testing.T, s *store) { change(t, filepath.Join(s.dir, sumsFile), half) },
			gone:   []string{windowsFile, sessionFile, "snapshot"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := stillStore(t)
			write(t, filepath.Join(s.dir, windowsFile), []byte(`{"windows":1}`))
			write(t, filepath.Join(s.dir, sessionFile), []byte(`{"sessions":1}`))
			write(t, s.snapshot(), fmt.Appendf(nil, `{"high_watermark":%d}`, s.end))
			if err := NoteStop(s.dir); err != nil {
				t.Fatal(err)
			}
			test.damage(t, s)
			s.mustInspect(t)
			for name, path := range map[string]string{
				windowsFile: filepath.Join(s.dir, windowsFile), sessionFile: filepath.Join(s.dir, sessionFile),
				"snapshot": s.snapshot(),
			} {
				_, err := os.Stat(path)
				if gone := os.IsNotExist(err); gone != slices.Contains(test.gone, name) {
					t.Errorf("%s is gone: %t", name, gone)
				}
			}
			if err := ForgetStart(s.dir); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(s.dir, windowsFile)); !os.IsNotExist(err) {
				t.Errorf("the windows are there after the start: %v", err)
			}
		})
	}
}

func (s *store) snapshot() string { return filepath.Join(s.partition().Path(s.dir), snapshotFile) }

// TestForeignFilesAreForgotten: nothing here writes them, and the engine would obey them.
func TestForeignFilesAreForgotten(t *testing.T) {
	s := stillStore(t)
	for _, name := range []string{"acls.json", "sasl.json", "quotas.json", "broker_configs.json", metaFile} {
		write(t, filepath.Join(s.dir, name), []byte(`{"evil":true}`))
	}
	s.mustInspect(t)
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() && e.Name() != topicsFile && e.Name() != metaFile {
			t.Errorf("%s is there", e.Name())
		}
	}
	var meta struct {
		Version int    `json:"version"`
		Cluster string `json:"cluster_id"`
	}
	text, err := os.ReadFile(filepath.Join(s.dir, metaFile))
	if err != nil || json.Unmarshal(text, &meta) != nil || meta.Version != 1 || meta.Cluster != logdir.ClusterID {
		t.Errorf("the engine would take the directory for a new one: %s, %v", text, err)
	}
}

// TestTighten: everything is its owner's alone, and what is neither a file nor a directory is
// refused by its name.
func TestTighten(t *testing.T) {
	s := stillStore(t)
	open := filepath.Join(s.dir, "open")
	write(t, open, nil)
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.partition().Path(s.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Tighten(s.dir); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{open: 0o600, s.partition().Path(s.dir): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
	link := filepath.Join(s.partition().Path(s.dir), "99.dat")
	if err := os.Symlink(open, link); err != nil {
		t.Fatal(err)
	}
	if err := s.inspect(); err == nil || !strings.Contains(err.Error(), link) {
		t.Errorf("got %v, want a refusal that names the link", err)
	}
}

// TestTopicIDsAreWrittenAsTheEngineDoes.
func TestTopicIDsAreWrittenAsTheEngineDoes(t *testing.T) {
	var id [16]byte
	id[15] = 1
	if got := TopicID(id); got != testTopicID {
		t.Errorf("got %q, want %q", got, testTopicID)
	}
	if raw, err := base64.StdEncoding.DecodeString(testTopicID); err != nil || [16]byte(raw) != id {
		t.Errorf("%v, %v", raw, err)
	}
}
