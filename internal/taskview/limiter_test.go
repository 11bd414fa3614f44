package taskview

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aiecs/tasklane/schemas"
)

func TestDoorBoundsUsersAndAll(t *testing.T) {
	d := newLimiter("lists", 3, 2)
	var leave []func()
	enter := func(user string, want error) {
		t.Helper()
		out, err := d.enter(user)
		if !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", user, err, want)
		}
		if err == nil {
			leave = append(leave, out)
		}
	}
	enter("ada", nil)
	enter("ada", nil)
	enter("ada", ErrTooMany)
	enter("bob", nil)
	enter("bob", ErrBusy)
	leave[0]()
	enter("bob", nil)
	enter("ada", ErrBusy)
	for _, out := range leave[1:] {
		out()
	}
	if d.inside != 0 || len(d.byUser) != 0 {
		t.Errorf("%d inside, %d users", d.inside, len(d.byUser))
	}
}

func TestSlowSearchIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &View{lists: newLimiter("lists", 1, 1), searches: newLimiter("searches", 1, 1)}
		wait := func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return fmt.Errorf("list tasks: %w", ctx.Err())
			case <-time.After(2 * SearchTimeout):
				return nil
			}
		}
		if err := v.asked(t.Context(), Filter{Query: "x"}, wait); !errors.Is(err, ErrSlow) {
			t.Errorf("search: %v", err)
		}
		if err := v.asked(t.Context(), Filter{}, wait); err != nil {
			t.Errorf("list: %v", err)
		}
		if v.searches.inside+v.lists.inside != 0 {
			t.Error("a place is still taken")
		}
	})
}

// fill writes n tasks of a user, each with the word in its input.
func fill(t testing.TB, m *machine, user, word string, n int) {
	t.Helper()
	for i := range n {
		run := runKey{schemas.TaskKey{UserID: user, TaskID: fmt.Sprintf("%s-%06d", word, i)}, "fast", 0}
		err := m.s.update(t.Context(), run, func(b *batch, r *row) {
			r.task.Offset, r.task.CreatedAt, r.task.Status = int64(i), atMilli(int64(i)), schemas.Completed
			b.keepRecord(r.id, &schemas.Task{UserID: user, InputData: []byte(`{"text":"` + word + ` common"}`)}, []byte(`{}`))
		})
		if err == nil && i%5000 == 4999 {
			err = m.commit()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.commit(); err != nil {
		t.Fatal(err)
	}
}

// TestSearchStaysWithinTheUser: the plan reads the rows of the user's tasks alone,
// and finds all of them.
func TestSearchStaysWithinTheUser(t *testing.T) {
	m := &machine{dir: t.TempDir()}
	must(t, m.open())
	defer func() { m.s.store.close() }()
	fill(t, m, "ada", "apple", 30)
	fill(t, m, "bob", "pear", 30)
	for user, word := range map[string]string{"ada": "apple", "bob": "pear"} {
		for query, want := range map[string]int{word: 30, "common": 30, word + " common": 30, "apple pear": 0} {
			tasks, _, err := m.s.store.list(t.Context(), Filter{UserID: user, Query: query, Limit: 100})
			if err != nil || len(tasks) != want {
				t.Errorf("%s searches %q: %d tasks, %v", user, query, len(tasks), err)
			}
		}
	}
	if tasks, _, err := m.s.store.list(t.Context(), Filter{Query: "common", Limit: 100}); err != nil || len(tasks) != 60 {
		t.Errorf("without a user: %d tasks, %v", len(tasks), err)
	}
	if plan := searchPlan(t, m.s.store.searches); !strings.Contains(plan, "M1") || !strings.Contains(plan, ">") ||
		!strings.Contains(plan, "<") {
		t.Errorf("the index is not asked for a range of rows: %s", plan)
	}
	for _, user := range []string{"", "ada", "bob", strings.Repeat("ü", 200)} {
		if first, last := userRows(user); first < 0 || last < first || searchRow(1<<34, user)+1 > last {
			t.Errorf("rows of %q: %d to %d", user, first, last)
		}
	}
}

func searchPlan(t *testing.T, pool *sql.DB) string {
	t.Helper()
	rows, err := pool.QueryContext(t.Context(),
		`EXPLAIN QUERY PLAN SELECT rowid FROM search WHERE search MATCH '"x"' AND rowid BETWEEN 5 AND 9`)
	must(t, err)
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		must(t, rows.Scan(&id, &parent, &unused, &detail))
		plan = append(plan, detail)
	}
	must(t, rows.Err())
	return strings.Join(plan, "; ")
}

// BenchmarkLookup is how long a look-up by id takes, alone and while sixteen
// callers search among 200,000 tasks.
func BenchmarkLookup(b *testing.B) {
	m := &machine{dir: b.TempDir()}
	if err := m.open(); err != nil {
		b.Fatal(err)
	}
	defer m.s.store.close()
	for i := range 20 {
		fill(b, m, fmt.Sprintf("user-%d", i), fmt.Sprintf("word%d", i), 10_000)
	}
	v := m.s.view
	v.lists, v.searches = newLimiter("lists", maxLists, maxListsOfUser),
		newLimiter("searches", maxSearches, maxSearchesOfUser)
	v.setStore(m.s.store)
	for _, searchers := range []int{0, 16} {
		b.Run(fmt.Sprintf("searchers=%d", searchers), func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var g errgroup.Group
			for i := range searchers {
				g.Go(func() error {
					for ctx.Err() == nil {
						_, _, _ = v.List(ctx, Filter{UserID: []string{"", fmt.Sprintf("user-%d", i)}[i%2], Query: "common"})
					}
					return nil
				})
			}
			var took []time.Duration
			for i := range b.N {
				started := time.Now()
				key := schemas.TaskKey{UserID: "user-3", TaskID: fmt.Sprintf("word3-%06d", i%10_000)}
				if _, err := v.Get(ctx, key); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(started))
			}
			cancel()
			_ = g.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		})
	}
}
