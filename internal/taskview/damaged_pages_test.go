//go:build !race && !kafka

package taskview

// One goroutine reads a damaged file some hundred times: the race detector has nothing to find in that and takes
// ten times as long, and no broker has a part in it.

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// writeView fills a view's file and returns its bytes.
func writeView(t *testing.T, dir string) []byte {
	t.Helper()
	m := &machine{dir: dir}
	must(t, m.open())
	for i := range damageTasks {
		user, id := fmt.Sprintf("user-%d", i%3), fmt.Sprintf("task-%03d", i)
		value := strings.Replace(taskJSON(user, id), "blue", strings.Repeat("blue ", i*5), 1)
		must(t, m.s.take(t.Context(), &kgo.Record{Topic: propertyTopics.Lane("fast"), Offset: int64(i), Timestamp: epoch0,
			Value: []byte(value)}))
		for j, e := range []schemas.Event{state(user, id, schemas.Running, 1), completed(user, id, `{"n":`+itoa(i)+`}`)} {
			r := eventRecord(propertyTopics.Events(), 0, fold.Stamp{Shard: "fast/0", Epoch: 7, Seq: int64(2*i + j + 1)}, e)
			r.Offset, r.Timestamp = int64(2*i+j), epoch0
			must(t, m.s.take(t.Context(), r))
		}
	}
	must(t, m.commit())
	_, err := m.s.store.write.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	must(t, err)
	m.s.store.close()
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	return content
}

// answers is all that can be asked of a view's file.
func answers(t *testing.T, dir string) (said []string, err error) {
	t.Helper()
	st, err := openStore(bounded(t), dir)
	if err != nil {
		return nil, err
	}
	defer st.close()
	v := &View{damage: make(chan error, 1), overlay: newOverlay(), positions: newPositions(), submitted: newSubmitted(),
		lists: newLimiter("", 9, 9), searches: newLimiter("", 9, 9)}
	v.setStore(st)
	ask := func(what any, failed error) bool {
		said = append(said, fmt.Sprintf("%+v", what))
		if err = failed; errors.Is(failed, ErrNotFound) { // an index with a hole: the inspection has to find it
			err = st.check(bounded(t))
			if err == nil {
				t.Errorf("not found, and nothing noticed: %v", failed)
			}
		}
		return failed == nil
	}
	point, failed := st.load(bounded(t))
	if !ask(point, failed) {
		return nil, err
	}
	for i := range damageTasks {
		key := schemas.TaskKey{UserID: fmt.Sprintf("user-%d", i%3), TaskID: fmt.Sprintf("task-%03d", i)}
		task, failed := v.Get(bounded(t), key)
		if !ask(string(task.Record)+string(task.Result)+string(task.Status)+task.Message, failed) {
			return nil, err
		}
		h, failed := v.Events(bounded(t), key, "", 0)
		if !ask(h, failed) {
			return nil, err
		}
	}
	for _, f := range []Filter{{}, {UserID: "user-1"}, {Status: schemas.Completed}, {Query: "blue"},
		{UserID: "user-2", Query: "sky"}} {
		tasks, _, failed := v.List(bounded(t), f)
		if !ask(ids(tasks), failed) {
			return nil, err
		}
	}
	return said, st.check(bounded(t))
}

// TestDamagedPages: a bit that has turned anywhere in the file leaves every answer
// right, or is noticed and means a rebuild.
func TestDamagedPages(t *testing.T) {
	whole := writeView(t, t.TempDir())
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	random := rand.New(rand.NewPCG(1, 2))
	attempt := func(name string, content []byte) error {
		t.Helper()
		must(t, removeFiles(dir))
		must(t, os.WriteFile(path, content, 0o600))
		said, err := answers(t, dir)
		if err != nil {
			if !errors.Is(err, errRebuild) {
				t.Errorf("%s: %v", name, err)
			}
			return err
		}
		if diff := cmp.Diff(wholeAnswers(t, whole), said, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: wrong answers: %.600s", name, diff)
		}
		return nil
	}
	must(t, attempt("whole", whole))
	noticed := 0
	for page := 0; page < len(whole)/4096; page++ {
		for range 2 {
			content := append([]byte(nil), whole...)
			at := page*4096 + random.IntN(4096)
			content[at] ^= 1 << random.IntN(8)
			if attempt(fmt.Sprintf("page %d, byte %d", page+1, at%4096), content) != nil {
				noticed++
			}
		}
		content := append([]byte(nil), whole...)
		for i := range 4096 {
			content[page*4096+i] ^= byte(random.Uint32())
		}
		if attempt(fmt.Sprintf("page %d, overwritten", page+1), content) == nil {
			t.Errorf("page %d of %d: nothing noticed", page+1, len(whole)/4096)
		}
	}
	if noticed == 0 {
		t.Error("no turned bit was noticed")
	}
	// A file of less than a header is an empty one to SQLite, which is filled anew.
	for _, size := range []int{4096, 4097, len(whole) / 2, len(whole) - 1} {
		if attempt(fmt.Sprintf("cut at %d", size), whole[:size]) == nil {
			t.Errorf("cut at %d: nothing noticed", size)
		}
	}
}

func wholeAnswers(t *testing.T, whole []byte) []string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, fileName), whole, 0o600))
	said, err := answers(t, dir)
	must(t, err)
	return said
}
