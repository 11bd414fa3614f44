package taskview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// The property: whatever is asked for, the list is what a plain loop over all tasks
// says, in its order, on whatever pages.

// listed is a task in the words of the loop.
type listed struct {
	task  Task
	words []string // of its input, result, error and message, as they are searched
}

var (
	listWords = []string{"apple", "pear", "plum", "crème", "天気", "x2"}
	listUsers = []string{"ada", "bob", "ada b"}
	listLanes = []string{"fast", "heavy"}
	listNames = []string{"answer", "sum"}
)

// drawListed fills a view with tasks.
func drawListed(t *rapid.T, m *machine, least int) []listed {
	var all []listed
	seen := map[runKey]bool{}
	for i := range rapid.IntRange(least, least+25).Draw(t, "tasks") {
		run := runKey{
			schemas.TaskKey{UserID: rapid.SampledFrom(listUsers).Draw(t, "user"),
				TaskID: fmt.Sprintf("t%02d", rapid.IntRange(0, 12).Draw(t, "id"))},
			rapid.SampledFrom(listLanes).Draw(t, "lane"), int32(rapid.IntRange(0, 1).Draw(t, "partition")),
		}
		if seen[run] {
			continue
		}
		seen[run] = true
		input, outcome := rapid.SampledFrom(listWords).Draw(t, "input"), rapid.SampledFrom(listWords).Draw(t, "outcome")
		l := listed{task: newTask(run), words: []string{input}}
		l.task.TaskName = rapid.SampledFrom(listNames).Draw(t, "name")
		l.task.Mode = rapid.SampledFrom([]string{"chat", "debug"}).Draw(t, "mode")
		l.task.Service = rapid.SampledFrom([]string{"assistant", "echo"}).Draw(t, "service")
		l.task.Status = rapid.SampledFrom(append(schemas.Statuses(), schemas.Lost)).Draw(t, "status")
		l.task.Offset, l.task.CreatedAt, l.task.UpdatedAt = int64(i), at(rapid.IntRange(0, 5).Draw(t, "created")), at(9)
		text, err := json.Marshal(map[string]string{"a": input})
		if err != nil {
			t.Fatal(err)
		}
		err = m.s.update(t.Context(), run, func(b *batch, r *row) {
			r.task = l.task
			b.keepRecord(r.id, &schemas.Task{UserID: run.UserID, InputData: text}, []byte(`{}`))
			if l.task.Status.Terminal() {
				l.words = append(l.words, outcome)
				b.texts = append(b.texts, outcomeText(r.id, &r.task, []byte(`"`+outcome+`"`)))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	if err := m.commit(); err != nil {
		t.Fatal(err)
	}
	return all
}

// naively is what a filter means, without its page.
func naively(all []listed, f Filter) []Task {
	var found []Task
	for _, l := range all {
		t := &l.task
		fits := true
		for asked, is := range map[*string]string{
			&f.UserID: t.UserID, (*string)(&f.Status): string(t.Status), &f.Lane: t.Lane,
			&f.TaskName: t.TaskName, &f.Mode: t.Mode, &f.Service: t.Service,
		} {
			fits = fits && (*asked == "" || *asked == is)
		}
		for _, word := range strings.Fields(f.Query) {
			fits = fits && slices.ContainsFunc(l.words, func(is string) bool {
				return plain(is) == plain(word) ||
					holds(is, word)
			})
		}
		if fits {
			found = append(found, *t)
		}
	}
	slices.SortFunc(found, func(a, b Task) int {
		return -cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), cmp.Compare(a.TaskID, b.TaskID),
			cmp.Compare(a.UserID, b.UserID),
			cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Partition, b.Partition))
	})
	return found
}

// plain is a word without accents and case.
func plain(word string) string { return strings.ToLower(strings.ReplaceAll(word, "è", "e")) }

// holds reports whether a text in a script without spaces holds a part.
func holds(text, part string) bool {
	return unicode.Is(unicode.Han, []rune(part)[0]) && strings.Contains(text, part)
}

func names(tasks []Task) (all []string) {
	for i := range tasks {
		all = append(all, fmt.Sprintf("%s %s of %s at %s/%d", tasks[i].CreatedAt, tasks[i].TaskID, tasks[i].UserID,
			tasks[i].Lane, tasks[i].Partition))
	}
	return all
}

// maybe draws one of some values, or none.
func maybe(t *rapid.T, what string, of ...string) string {
	return rapid.SampledFrom(append(of, "", "")).Draw(t, what)
}

func TestListIsANaiveFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{}
		if err := m.open(); err != nil {
			t.Fatal(err)
		}
		defer m.s.store.close()
		all := drawListed(t, m, 0)
		for range 6 {
			f := Filter{
				UserID:   maybe(t, "of user", append(listUsers, "nobody")...),
				Status:   schemas.Status(maybe(t, "of status", "pending", "running", "completed", "failed", "lost")),
				Lane:     maybe(t, "on lane", append(listLanes, "none")...),
				TaskName: maybe(t, "of name", append(listNames, "none")...),
				Mode:     maybe(t, "of mode", "chat", "debug"), Service: maybe(t, "of service", "assistant", "echo"),
				Query: maybe(t, "query", "apple", "PEAR", "creme", "気", "plum apple", "x2", "nothing", "apple apple"),
				Limit: rapid.IntRange(1, 7).Draw(t, "limit"),
			}
			want, asked := naively(all, f), f
			var got []Task
			for pages := 0; ; pages++ {
				tasks, next, err := m.s.store.list(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				if len(tasks) > f.Limit || len(tasks) < f.Limit && next != "" || pages > len(want) {
					t.Fatalf("page %d has %d of %d tasks, next %q", pages, len(tasks), f.Limit, next)
				}
				got = append(got, tasks...)
				if f.Cursor = next; next == "" {
					break
				}
			}
			if !slices.Equal(names(got), names(want)) {
				t.Fatalf("%+v:\n got %q\nwant %q", asked, names(got), names(want))
			}
		}
	})
}

// TestEveryCombinationOfParameters: each of the 128 of them is answered, from the same
// tasks.
func TestEveryCombinationOfParameters(t *testing.T) {
	m := &machine{dir: t.TempDir()}
	must(t, m.open())
	defer func() { m.s.store.close() }()
	all := rapid.Custom(func(t *rapid.T) []listed { return drawListed(t, m, 30) }).Example(14)
	if len(all) < 10 {
		t.Fatalf("%d tasks are too few to tell anything", len(all))
	}
	set := []func(*Filter){
		func(f *Filter) { f.UserID = "ada" }, func(f *Filter) { f.Status = schemas.Completed },
		func(f *Filter) { f.Lane = "fast" },
		func(f *Filter) { f.TaskName = "answer" }, func(f *Filter) { f.Mode = "chat" },
		func(f *Filter) { f.Service = "echo" },
		func(f *Filter) { f.Query = "apple" },
	}
	for combination := range 1 << len(set) {
		f := Filter{Limit: MaxListed}
		for bit, change := range set {
			if combination&(1<<bit) != 0 {
				change(&f)
			}
		}
		tasks, next, err := m.s.store.list(t.Context(), f)
		if err != nil || next != "" || !slices.Equal(names(tasks), names(naively(all, f))) {
			t.Errorf("%+v: %q, next %q, %v", f, names(tasks), next, err)
		}
	}
}

// TestPagesGoOnWhileTasksCome: what is created meanwhile stands before the first page,
// and moves nothing on those that follow.
func TestPagesGoOnWhileTasksCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{}
		if err := m.open(); err != nil {
			t.Fatal(err)
		}
		defer m.s.store.close()
		before := names(naively(drawListed(t, m, 0), Filter{}))
		var got []string
		f := Filter{Limit: rapid.IntRange(1, 4).Draw(t, "limit")}
		for n := 0; ; n++ {
			tasks, next, err := m.s.store.list(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, names(tasks)...)
			run := runKey{schemas.TaskKey{UserID: "new", TaskID: fmt.Sprint(n)}, "fast", 0}
			err = m.s.update(t.Context(), run, func(_ *batch, r *row) {
				r.task.CreatedAt, r.task.UpdatedAt = at(100+n),
					at(100+n)
			})
			if err == nil {
				err = m.commit()
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Cursor = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, before) {
			t.Fatalf("got %q, want %q", got, before)
		}
	})
}

// TestLargePagesEndEarly, with a cursor that goes on, and never without a task.
func TestLargePagesEndEarly(t *testing.T) {
	m := &machine{}
	must(t, m.open())
	defer m.s.store.close()
	const n, size = 12, maxPageBytes / 4
	for i := range n {
		run := runKey{schemas.TaskKey{UserID: "ada", TaskID: fmt.Sprintf("t%02d", i)}, "fast", 0}
		must(t, m.s.update(t.Context(), run, func(_ *batch, r *row) {
			r.task.Message, r.task.CreatedAt = strings.Repeat("x", size), at(i)
			if i == 5 {
				r.task.Message = strings.Repeat("x", 2*maxPageBytes) // alone too large
			}
		}))
	}
	must(t, m.commit())
	var got []string
	for f := (Filter{Limit: 100}); ; {
		tasks, next, err := m.s.store.list(t.Context(), f)
		must(t, err)
		bytes := 0
		for i := range tasks {
			bytes += len(tasks[i].Message)
		}
		if len(tasks) == 0 || bytes > maxPageBytes && len(tasks) > 1 {
			t.Fatalf("a page of %d tasks with %d bytes", len(tasks), bytes)
		}
		got = append(got, names(tasks)...)
		if f.Cursor = next; next == "" {
			break
		}
	}
	if len(got) != n {
		t.Errorf("%d tasks on all pages", len(got))
	}
}

// TestEventsComeInPages in the order of the log, over all runs of an identity.
func TestEventsComeInPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		m := &machine{}
		if err := m.open(); err != nil {
			t.Fatal(err)
		}
		defer m.s.store.close()
		for m.step(t, h) {
		}
		if err := m.commit(); err != nil {
			t.Fatal(err)
		}
		for _, user := range []string{"ada", "bob"} {
			key := schemas.TaskKey{UserID: user, TaskID: "t1"}
			var want []place
			for run, p := range model(h) {
				for _, offset := range p.EventOffsets {
					if run.TaskKey == key {
						want = append(want, place{run.partition, offset})
					}
				}
			}
			slices.SortFunc(want, func(a, b place) int {
				return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
			})
			if got := eventPages(t, m.s.store, key, rapid.IntRange(1, 5).Draw(t, "limit"), h); !slices.Equal(got, want) {
				t.Fatalf("events of %v: %v, want %v", key, got, want)
			}
		}
	})
}

// eventPages reads all pages and gives where in the log the events stand.
func eventPages(t *rapid.T, s *store, key schemas.TaskKey, limit int, h history) (got []place) {
	from, err := parsePlace("")
	if err != nil {
		t.Fatal(err)
	}
	for {
		page, err := s.events(t.Context(), key, from, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Events) > limit || page.Next != "" && len(page.Events) == 0 {
			t.Fatalf("%d of %d events, next %q", len(page.Events), limit, page.Next)
		}
		for _, data := range page.Events {
			got = append(got, standsAt(t, h, string(data)))
		}
		if page.Next == "" {
			return got
		}
		if from, err = parsePlace(page.Next); err != nil || from != got[len(got)-1] {
			t.Fatalf("goes on at %q after %v: %v", page.Next, got[len(got)-1], err)
		}
	}
}

// standsAt finds an event in the log by its id.
func standsAt(t *rapid.T, h history, value string) place {
	for at, records := range h {
		for _, r := range records {
			if at.topic == propertyTopics.Events() && string(r.Value) == value {
				return place{at.partition, r.Offset}
			}
		}
	}
	t.Fatalf("an event that is not in the log: %s", value)
	return place{}
}
