package taskview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"
	sqlitelib "modernc.org/sqlite/lib"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/schemas"
)

// fullDisk keeps the file of a store from growing by more than some pages, which is what
// SQLite sees of a disk that is full, and gives the disk back.
func fullDisk(t tester, st *store, pages int) (free func()) {
	t.Helper()
	var used int
	if err := st.write.QueryRow("PRAGMA page_count").Scan(&used); err != nil {
		t.Fatal(err)
	}
	most := func(n int) {
		if _, err := st.write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	most(used + pages)
	return func() { most(1 << 30) }
}

// runStore is a session without a client on a store in dir, whose commits go on until
// the returned function is called.
func runStore(t *testing.T, dir string, log *logtest.Buffer) (m *machine, stop func() error) {
	t.Helper()
	m = &machine{dir: dir}
	must(t, m.open())
	v := m.s.view
	v.config = Config{Dir: dir, Retention: time.Hour, Now: func() time.Time { return epoch0 }}
	v.logger = slog.New(slog.NewTextHandler(log, nil))
	v.damage, v.lists, v.searches = make(chan error, 1), newLimiter("lists", 9, 9), newLimiter("searches", 9, 9)
	v.setStore(m.s.store)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.s.commit(ctx) }()
	return m, func() error {
		cancel()
		err := <-ended
		v.setStore(nil)
		v.overlay.abandon()
		m.s.store.close()
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
}

// takeTask reads a task from its lane.
func (m *machine) takeTask(t tester, id, text string) {
	t.Helper()
	r := laneRecord("fast", 0, m.next[topicPartition{propertyTopics.Lane("fast"), 0}],
		strings.Replace(taskJSON("ada", id), "why is the sky blue", text, 1))
	if err := m.s.take(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	m.next[partitionOf(r)] = r.Offset + 1
}

// TestFullDisk: the reader and look-ups go on from memory, nothing is lost, the operator is
// told what to do, and when there is room again all of it is written.
func TestFullDisk(t *testing.T) {
	log, dir := new(logtest.Buffer), t.TempDir()
	m, stop := runStore(t, dir, log)
	m.takeTask(t, "before", "x")
	m.s.view.settle(bounded(t))
	free := fullDisk(t, m.s.store, 2)
	text := strings.Repeat("word ", 4000)
	for i := range 30 {
		m.takeTask(t, "t"+itoa(i), text)
	}
	log.Await(t, patience, "cannot be written, it tries again; free space in its directory")
	for i := range 30 {
		got, err := m.s.view.Get(bounded(t), schemas.TaskKey{UserID: "ada", TaskID: "t" + itoa(i)})
		if err != nil || !strings.Contains(string(got.Record), "word word") {
			t.Fatalf("t%d while the disk is full: %v", i, err)
		}
	}
	if tasks, _, err := m.s.view.List(bounded(t), Filter{}); err != nil || ids(tasks) != "before" {
		t.Errorf("list while the disk is full: %s, %v", ids(tasks), err)
	}
	if !strings.Contains(log.String(), dir) {
		t.Errorf("the directory is not named: %s", log)
	}
	free()
	pending := m.s.view.overlay.pending()
	select {
	case <-pending:
	case <-bounded(t).Done():
		t.Fatal("not written when there is room again")
	}
	if tasks, _, err := m.s.view.List(bounded(t), Filter{}); err != nil || len(tasks) != 31 {
		t.Errorf("%d tasks when there is room again, %v", len(tasks), err)
	}
	must(t, stop())
	must(t, m.open()) // and all of it is there after a restart
	defer m.s.store.close()
	if got := m.next[topicPartition{propertyTopics.Lane("fast"), 0}]; got != 31 {
		t.Errorf("goes on at %d", got)
	}
}

// TestReadingStopsWhileBothBatchesAreFull, and goes on when one is written.
func TestReadingStopsWhileBothBatchesAreFull(t *testing.T) {
	log := new(logtest.Buffer)
	m, stop := runStore(t, t.TempDir(), log)
	free := fullDisk(t, m.s.store, 0)
	m.takeTask(t, "first", strings.Repeat("a ", 20_000)) // on its way to the disk
	log.Await(t, patience, "cannot be written")
	for i := range maxBatchRecords {
		m.takeTask(t, "t"+itoa(i), "x")
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := laneRecord("fast", 0, maxBatchRecords+1, taskJSON("ada", "last"))
	waits := make(chan error, 1)
	go func() { waits <- m.s.take(ctx, r) }()
	select {
	case err := <-waits:
		t.Fatalf("read on although nothing can be written: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Fatalf("waits with %v", err)
	}
	free()
	must(t, m.s.take(bounded(t), r))
	m.s.view.settle(bounded(t))
	<-closed(m.s.view.overlay.pending())
	must(t, stop())
}

func closed(c <-chan struct{}) <-chan struct{} {
	if c == nil {
		done := make(chan struct{})
		close(done)
		return done
	}
	return c
}

// TestNothingIsHalfWritten: a batch whose commit fails at whatever page leaves the file as
// it was before.
func TestNothingIsHalfWritten(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{dir: dir}
		must(t, removeFiles(dir))
		must(t, m.open())
		h := drawHistory(rt)
		half := rapid.IntRange(0, 20).Draw(rt, "records before")
		for range half {
			m.step(rt, h)
		}
		must(t, m.commit())
		before := m.pictures(rt, model(h))
		point, err := m.s.store.load(t.Context())
		must(t, err)
		for m.step(rt, h) {
		}
		m.takeTask(rt, "large", strings.Repeat("words ", 5000))
		free := fullDisk(rt, m.s.store, rapid.IntRange(0, 3).Draw(rt, "pages left"))
		err = m.commit()
		free()
		if err == nil {
			m.s.store.close()
			return // it fitted
		}
		if !passing(err) {
			rt.Fatalf("a full disk is %v", err)
		}
		after, err := m.s.store.load(t.Context())
		must(t, err)
		if diff := cmp.Diff(point.next, after.next, cmp.AllowUnexported(position{}, topicPartition{})); diff != "" {
			rt.Fatalf("positions: %s", diff)
		}
		if diff := cmp.Diff(before, m.pictures(rt, model(h)), cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("tasks: %s", diff)
		}
		m.s.view.overlay.committing, m.s.view.overlay.filling = nil, m.s.view.overlay.committing
		must(t, m.commit()) // the same batch, when there is room
		if diff := cmp.Diff(model(h), m.pictures(rt, model(h)), cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("written later: %s", diff)
		}
		m.s.store.close()
	})
}

// TestWhatPassesAndWhatIsDamage: what SQLite says decides whether the same is tried again,
// the file is made anew, or the view ends.
func TestWhatPassesAndWhatIsDamage(t *testing.T) {
	for code, want := range map[int]struct{ passes, rebuild bool }{
		sqlitelib.SQLITE_FULL:             {true, false},
		sqlitelib.SQLITE_IOERR:            {true, false},
		sqlitelib.SQLITE_IOERR_WRITE:      {true, false},
		sqlitelib.SQLITE_BUSY:             {true, false},
		sqlitelib.SQLITE_LOCKED:           {true, false},
		sqlitelib.SQLITE_NOMEM:            {true, false},
		sqlitelib.SQLITE_CANTOPEN:         {true, false},
		sqlitelib.SQLITE_READONLY:         {true, false},
		sqlitelib.SQLITE_IOERR_SHORT_READ: {true, true},
		sqlitelib.SQLITE_READONLY_DBMOVED: {true, true},
		sqlitelib.SQLITE_CORRUPT:          {false, true},
		sqlitelib.SQLITE_CORRUPT_VTAB:     {false, true},
		sqlitelib.SQLITE_NOTADB:           {false, true},
		sqlitelib.SQLITE_SCHEMA:           {false, true},
		sqlitelib.SQLITE_ERROR:            {false, true},
		sqlitelib.SQLITE_CONSTRAINT:       {false, true},
		sqlitelib.SQLITE_INTERRUPT:        {false, false},
		sqlitelib.SQLITE_MISUSE:           {false, false},
	} {
		err := fmt.Errorf("write: %w", failure(code))
		if got := passing(err); got != want.passes {
			t.Errorf("%d passes: %v", code, got)
		}
		if got := errors.Is(damaged(err), errRebuild); got != want.rebuild {
			t.Errorf("%d means a rebuild: %v", code, got)
		}
	}
	for _, err := range []error{nil, errors.New("no word of SQLite"), context.Canceled} {
		if passing(err) || errors.Is(damaged(err), errRebuild) {
			t.Errorf("%v is taken for SQLite's", err)
		}
	}
	if rebuilt := damaged(fmt.Errorf("%w: before", errRebuild)); !strings.Contains(rebuilt.Error(), "before") {
		t.Errorf("got %v", rebuilt)
	}
}

// failure is an error with one of SQLite's codes.
type failure int

func (f failure) Error() string { return fmt.Sprint("code ", int(f)) }
func (f failure) Code() int     { return int(f) }

// TestDirectoriesThatCannotBeUsed end the view with an error that names them.
func TestDirectoriesThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	link := t.TempDir()
	must(t, os.Symlink(file, filepath.Join(link, fileName)))
	for name, dir := range map[string]string{"a file": file, "below a file": filepath.Join(file, "x"),
		"a planted link": link} {
		t.Run(name, func(t *testing.T) {
			st, err := openStore(t.Context(), dir)
			if err == nil {
				st.close()
				t.Fatal("opened")
			}
			if errors.Is(err, errRebuild) || !strings.Contains(err.Error(), file) && !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestAnotherProcessTakesTheFile: whoever had it commits and deletes nothing any more.
func TestAnotherProcessTakesTheFile(t *testing.T) {
	dir := t.TempDir()
	first := &machine{dir: dir}
	must(t, first.open())
	defer func() { first.s.store.close() }()
	first.takeTask(t, "t1", "x")
	second, err := openStore(t.Context(), dir)
	must(t, err)
	defer second.close()
	if err := first.commit(); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), "directory of its own") {
		t.Errorf("commits: %v", err)
	}
	if _, err := first.s.store.retain(t.Context(), epoch0); !errors.Is(err, ErrTaken) {
		t.Errorf("deletes: %v", err)
	}
	if point, err := second.load(t.Context()); err != nil || len(point.next) != 0 {
		t.Errorf("something was written: %+v, %v", point, err)
	}
	execute(t, dir, "DELETE FROM meta WHERE name = 'owner'")
	third := &machine{dir: dir}
	must(t, third.open())
	defer func() { third.s.store.close() }()
	_, err = third.s.store.write.Exec("UPDATE meta SET value = value || 'x' WHERE name = 'owner'")
	must(t, err)
	third.takeTask(t, "t1", "x")
	if err := third.commit(); !errors.Is(err, errRebuild) {
		t.Errorf("a damaged name is %v", err)
	}
}

// TestQueriesWhileItIsWritten: lists, searches, look-ups and histories of many callers go
// on while tasks come and end; none sees half of a task, and each sees what was written
// before it asked.
func TestQueriesWhileItIsWritten(t *testing.T) {
	m, stop := runStore(t, t.TempDir(), new(logtest.Buffer))
	v := m.s.view
	const tasks = 150
	written := make(chan int, tasks)
	var g, readers errgroup.Group
	g.Go(func() error {
		defer close(written)
		for i := range tasks {
			id := fmt.Sprintf("t%03d", i)
			m.takeTask(t, id, "common text "+id)
			for j, e := range []schemas.Event{state("ada", id, schemas.Running, 1), completed("ada", id, `{"n":`+itoa(i)+`}`)} {
				r := eventRecord(propertyTopics.Events(), 0, stampOf("fast/0", 7, int64(2*i+j+1)), e)
				r.Offset, r.Timestamp = int64(2*i+j), epoch0
				if err := m.s.take(t.Context(), r); err != nil {
					return err
				}
			}
			written <- i
		}
		return nil
	})
	for range 4 {
		readers.Go(func() error {
			for i := range written {
				if err := seesAll(t.Context(), v, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(t, g.Wait())
	must(t, readers.Wait())
	must(t, stop())
}

// seesAll asks in every way for a task that has been read to its end.
func seesAll(ctx context.Context, v *View, i int) error {
	id, result := fmt.Sprintf("t%03d", i), fmt.Sprintf(`{"n":%d}`, i)
	key := schemas.TaskKey{UserID: "ada", TaskID: id}
	task, err := v.Get(ctx, key)
	if err != nil || task.Status != schemas.Completed || string(task.Result) != result ||
		!strings.Contains(string(task.Record), id) {
		return fmt.Errorf("get %s: %+v, %w", id, task, err)
	}
	outcome, err := v.Wait(ctx, key)
	if err != nil || string(outcome.Result) != result {
		return fmt.Errorf("wait for %s: %s, %w", id, outcome.Result, err)
	}
	h, err := v.Events(ctx, key, "", 0)
	if err != nil || len(h.Events) != 2 {
		return fmt.Errorf("events of %s: %d, %w", id, len(h.Events), err)
	}
	for query, f := range map[string]Filter{"search": {UserID: "ada", Query: "common " + id},
		"list": {Status: schemas.Completed, Limit: MaxListed}} {
		tasks, _, err := v.List(ctx, f)
		if err != nil || !strings.Contains(" "+ids(tasks)+" ", " "+id+" ") {
			return fmt.Errorf("%s for %s: %s, %w", query, id, ids(tasks), err)
		}
		for j := range tasks {
			if t := &tasks[j]; t.Status == schemas.Completed && (t.EndedAt == nil || t.Events != 2) {
				return fmt.Errorf("half of %s: %+v", t.TaskID, t)
			}
		}
	}
	return nil
}
