package taskview

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

func maybeTime(t *rapid.T, what string) *schemas.Time {
	if rapid.Bool().Draw(t, what) {
		return nil
	}
	time := at(rapid.IntRange(-1000, 1000).Draw(t, what+" at"))
	return &time
}

// drawRow is a row with anything in it that can be.
func drawRow(t *rapid.T) row {
	text := func(what string) string { return rapid.StringN(0, 20, 80).Draw(t, what) }
	number := func(what string) int { return rapid.IntRange(0, 1<<20).Draw(t, what) }
	task := newTask(runKey{schemas.TaskKey{UserID: "u" + text("user"), TaskID: "t" + text("id")},
		rapid.SampledFrom([]string{"fast", "heavy"}).Draw(t, "lane"), int32(number("partition"))})
	task.Offset, task.LastOffset, task.FirstEvent = int64(number("offset"))-1, int64(number("last"))-1,
		int64(number("first"))-1
	task.Status = rapid.SampledFrom(append(schemas.Statuses(), schemas.Lost)).Draw(t, "status")
	task.Attempt, task.Step, task.Priority = number("attempt"), number("step"), rapid.IntRange(0, 100).Draw(t, "priority")
	task.TaskName, task.Mode, task.Service = text("name"), text("mode"), text("service")
	task.BatchID, task.RetryOf, task.Message, task.Error = text("batch"), text("retry of"), text("message"), text("error")
	task.ErrorCode, task.DuplicateOf, task.Worker = schemas.ErrorCode(text("code")), text("duplicate of"), text("worker")
	task.Labels = rapid.MapOfN(rapid.StringN(1, 5, 20), rapid.StringN(0, 5, 20), 0, 3).Draw(t, "labels")
	if rapid.Bool().Draw(t, "waits") {
		task.Waiting = &schemas.Waiting{For: schemas.WaitTime, Until: maybeTime(t, "until")}
	}
	if rapid.Bool().Draw(t, "progresses") {
		task.Progress = &schemas.Progress{Current: int64(number("current")), Unit: text("unit")}
	}
	if rapid.Bool().Draw(t, "is stored") {
		task.ResultArtifact = &schemas.Artifact{Hash: text("hash"), Name: text("file"), Size: int64(number("size"))}
	}
	task.CreatedAt, task.UpdatedAt = at(number("created")), at(number("updated"))
	task.StartedAt, task.EndedAt, task.NextAttemptAt = maybeTime(t, "started"), maybeTime(t, "ended"), maybeTime(t, "next")
	task.Repeats, task.Events, task.EventsOmitted = number("repeats"), number("events"), number("omitted")
	task.Deferred = rapid.Bool().Draw(t, "deferred")
	return row{id: int64(number("row")) + 1, task: task}
}

// TestRowsAreReadAsTheyWereWritten, whatever stands in them, and after they were changed.
func TestRowsAreReadAsTheyWereWritten(t *testing.T) {
	st, err := openStore(t.Context(), "")
	must(t, err)
	defer st.close()
	rapid.Check(t, func(t *rapid.T) {
		first, second := drawRow(t), drawRow(t)
		second.id = first.id
		second.task.TaskID, second.task.UserID = first.task.TaskID, first.task.UserID // its identity stays
		second.task.Lane, second.task.Partition = first.task.Lane, first.task.Partition
		for _, want := range []row{first, second} {
			b := newBatch()
			b.put(want.task.run(), &want)
			if err := st.commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			got, err := st.run(t.Context(), want.task.run())
			if err != nil || got == nil || got.id != want.id {
				t.Fatalf("read %+v, %v", got, err)
			}
			if diff := cmp.Diff(want.task, got.task, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		}
		if _, err := st.write.Exec("DELETE FROM tasks"); err != nil {
			t.Fatal(err)
		}
	})
}

// TestEveryColumnIsChecked: a value that is not the one that was written is noticed in
// whatever column.
func TestEveryColumnIsChecked(t *testing.T) {
	columns := strings.FieldsFunc(strings.ReplaceAll(taskColumns, "\n\t", ""),
		func(r rune) bool { return r == ',' || r == ' ' })
	if len(columns) != 36 {
		t.Fatalf("%d columns: %v", len(columns), columns)
	}
	whole := rapid.Custom(drawRow).Filter(func(r row) bool {
		return r.task.StartedAt != nil && r.task.NextAttemptAt != nil && r.task.EndedAt != nil && !r.task.Deferred
	}).Example(3)
	for _, column := range columns {
		t.Run(column, func(t *testing.T) {
			st, err := openStore(t.Context(), "")
			must(t, err)
			defer st.close()
			b := newBatch()
			b.put(whole.task.run(), &whole)
			must(t, st.commit(t.Context(), b))
			change := fmt.Sprintf("UPDATE tasks SET %[1]s = CASE typeof(%[1]s) "+
				"WHEN 'text' THEN %[1]s || 'x' ELSE %[1]s + 1 END", column)
			_, err = st.write.Exec(change)
			must(t, err)
			rows, err := st.rows(t.Context(), "SELECT "+taskColumns+" FROM tasks")
			if !errors.Is(err, errRebuild) {
				t.Errorf("read %+v, %v", rows, err)
			}
		})
	}
	t.Run("a time that is gone", func(t *testing.T) {
		st, err := openStore(t.Context(), "")
		must(t, err)
		defer st.close()
		b := newBatch()
		b.put(whole.task.run(), &whole)
		must(t, st.commit(t.Context(), b))
		_, err = st.write.Exec("UPDATE tasks SET ended_ms = NULL")
		must(t, err)
		if _, err := st.run(t.Context(), whole.task.run()); !errors.Is(err, errRebuild) {
			t.Errorf("read: %v", err)
		}
	})
}

// TestPlacesAreChecked: a position, an epoch or a fold that is not what was written.
func TestPlacesAreChecked(t *testing.T) {
	for name, statement := range map[string]string{
		"an offset": "UPDATE positions SET next = next - 1", "an epoch": "UPDATE positions SET epoch = epoch + 1",
		"a print": "UPDATE positions SET print = print + 1", "a partition": "UPDATE positions SET part = part + 7",
		"a topic":        "UPDATE positions SET topic = topic || 'x'",
		"a fold's epoch": "UPDATE folds SET epoch = epoch + 1", "a fold's seq": "UPDATE folds SET seq = seq - 1",
		"a shard": "UPDATE folds SET shard = 'heavy/0'", "nothing": "SELECT 1",
	} {
		t.Run(name, func(t *testing.T) {
			st, err := openStore(t.Context(), "")
			must(t, err)
			defer st.close()
			b := newBatch()
			r := eventRecord("p.task-events", 0, stampOf("fast/0", 7, 3), state("ada", "t1", schemas.Running, 1))
			r.Offset, r.LeaderEpoch = 41, 5
			stamp := stampOf("fast/0", 7, 3)
			b.note(r, &stamp)
			must(t, st.commit(t.Context(), b))
			_, err = st.write.Exec(statement)
			must(t, err)
			point, err := st.load(t.Context())
			if name != "nothing" {
				if !errors.Is(err, errRebuild) {
					t.Errorf("loaded %+v, %v", point, err)
				}
				return
			}
			must(t, err)
			if at := partitionOf(r); point.next[at] != (position{next: 42, epoch: 5, print: printOf(r)}) ||
				point.folds["fast/0"].Seq != 3 || point.nextID != 1 {
				t.Errorf("loaded %+v", point)
			}
		})
	}
}

// TestOwnersNamesAreChecked: a damaged name is not another process.
func TestOwnersNamesAreChecked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owner := newOwner()
		if !wellOwned(owner) || owner == newOwner() {
			t.Fatalf("owner %q", owner)
		}
		damaged := []byte(owner)
		damaged[rapid.IntRange(0, len(damaged)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if wellOwned(string(damaged)) {
			t.Fatalf("%q is taken for %q", damaged, owner)
		}
	})
}

// TestTaskColumnsFit: as many values are written and read as there are columns.
func TestTaskColumnsFit(t *testing.T) {
	r := rapid.Custom(drawRow).Example(1)
	values, err := taskValues(&r)
	must(t, err)
	columns := strings.Count(taskColumns, ",") + 1
	if len(values) != columns || strings.Count(upsertTaskSQL, "?") != columns ||
		strings.Count(upsertTaskSQL, "=excluded.") != columns-5 {
		t.Errorf("%d values for %d columns", len(values), columns)
	}
	if _, err := scanTask(func(targets ...any) error {
		if len(targets) != columns {
			t.Errorf("%d targets for %d columns", len(targets), columns)
		}
		return sql.ErrNoRows
	}); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("scanned: %v", err)
	}
}
