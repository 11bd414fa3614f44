package checker

import "testing"

const claimed = `,"unique":{"key":"k","ttl_ms":172800000}`

// duplicate ends a task as another's duplicate.
func (l *log) duplicate(id, of string) {
	l.says(state(id, "cancelled", 0, members{"error_code": "duplicate", "duplicate_of": of}))
}

func TestUnique(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(*log)
		want []string
	}{
		"the second is a duplicate": {func(l *log) {
			l.runs("a", 1)
			l.duplicate("b", "a")
			l.says(state("a", "completed", 1))
			l.duplicate("c", "a")
		}, nil},
		"a failure lets the next run": {func(l *log) {
			l.runs("a", 1)
			l.duplicate("b", "a")
			l.says(state("a", "failed", 1))
			l.runs("c", 1)
			l.says(state("c", "completed", 1))
		}, nil},
		"one that never started held it": {func(l *log) {
			l.duplicate("b", "a")
			l.says(state("a", "cancelled", 0))
			l.runs("c", 1)
			l.says(state("c", "completed", 1))
		}, nil},
		"beside one that runs": {func(l *log) {
			l.runs("a", 1)
			l.runs("b", 1)
			l.says(state("a", "failed", 1))
			l.says(state("b", "completed", 1))
			l.duplicate("c", "b")
		}, []string{"uniq …u/b in fast/3 started although u/a in fast/3 has the same content and had not ended yet"}},
		"after one that was completed": {func(l *log) {
			l.succeeds("a")
			l.succeeds("b")
			l.duplicate("c", "b")
		}, []string{"uniq …u/b in fast/3 started although u/a in fast/3 has the same content and was completed"}},
		"started, and a duplicate": {func(l *log) {
			l.runs("a", 1)
			l.duplicate("a", "b")
			l.succeeds("b")
			l.duplicate("c", "b")
		}, []string{"uniq …u/a in fast/3 is called a duplicate and was started"}},
		"of nobody": {func(l *log) {
			l.succeeds("a")
			l.duplicate("b", "x")
			l.duplicate("c", "c")
		}, []string{`uniq …u/b in fast/3 is called a duplicate of "x"`, `uniq …u/c in fast/3 is called a duplicate of "c"`}},
		"of a duplicate": {func(l *log) {
			l.succeeds("a")
			l.duplicate("b", "a")
			l.duplicate("c", "b")
		}, []string{`uniq …u/c in fast/3 is called a duplicate of "b"`}},
		"behind the end that freed it": {func(l *log) {
			l.runs("a", 1)
			l.says(state("a", "failed", 1))
			l.duplicate("b", "a")
			l.succeeds("c")
		}, []string{"uniq …u/b in fast/3 is called a duplicate of u/a in fast/3, which had ended as failed before"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog()
			for _, id := range []string{"a", "b", "c"} {
				l.received(id, claimed)
			}
			c.tell(l)
			l.want(t, c.want...)
		})
	}
}

// succeeds runs a task that was received.
func (l *log) succeeds(id string) {
	l.runs(id, 1)
	l.says(state(id, "completed", 1))
}

// TestShortClaimsAreNotJudged: two with a claim that ends within a run may both run.
func TestShortClaimsAreNotJudged(t *testing.T) {
	l := newLog()
	for _, id := range []string{"a", "b"} {
		l.received(id, `,"unique":{"key":"k","ttl_ms":60000}`)
		l.succeeds(id)
	}
	l.want(t)
}
