package taskview

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/journal"
)

func itoa(i int) string { return strconv.Itoa(i) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stampOf(shard string, epoch, seq int64) journal.Stamp {
	return journal.Stamp{Shard: shard, Epoch: epoch, Seq: seq}
}

func ids(tasks []Task) string {
	var got []string
	for _, task := range tasks {
		got = append(got, task.TaskID)
	}
	slices.Sort(got)
	return strings.Join(got, " ")
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
