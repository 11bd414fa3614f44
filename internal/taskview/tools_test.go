package taskview

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/fold"
)

func itoa(i int) string { return strconv.Itoa(i) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stampOf(shard string, epoch, seq int64) fold.Stamp {
	return fold.Stamp{Shard: shard, Epoch: epoch, Seq: seq}
}

func ids(tasks []Task) string {
	var got []string
	for _, task := range tasks {
		got = append(got, task.TaskID)
	}
	slices.Sort(got)
	return strings.Join(got, " ")
}

// rewrite changes a stored file as the view itself would: its positions, and the
// rows of its tasks.
func rewrite(t *testing.T, dir string, change func(b *batch, tasks []row)) {
	t.Helper()
	st, err := openStore(bounded(t), dir)
	must(t, err)
	defer st.close()
	point, err := st.load(bounded(t))
	must(t, err)
	rows, err := st.rows(bounded(t), "SELECT "+taskColumns+" FROM tasks")
	must(t, err)
	b := newBatch()
	b.next = point.next
	change(b, rows)
	must(t, st.commit(bounded(t), b))
}

// execute changes a stored file behind the view's back.
func execute(t *testing.T, dir, statement string) {
	t.Helper()
	st, err := openStore(bounded(t), dir)
	must(t, err)
	defer st.close()
	_, err = st.write.Exec(statement)
	must(t, err)
}

// tester is a test, or a run of a property.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}
