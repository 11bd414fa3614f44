package main

import (
	"fmt"
	"hash/maphash"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shelf is a log for tests: s is state, p progress, o output; one letter an
// event of task "t".
func shelf(kinds string) []fact {
	names := map[rune]string{'s': "state", 'p': "progress", 'o': "output"}
	facts := make([]fact, 0, len(kinds))
	for n, letter := range kinds {
		f := fact{said: said{Kind: names[letter], EventID: fmt.Sprint("e", n), TaskID: "t"}, offset: int64(n)}
		if letter == 'o' {
			f.Output = &piece{Index: int64(n), Text: fmt.Sprint("text", n)}
		}
		facts = append(facts, f)
	}
	return facts
}

// got is a client's log: numbers of events, "2+3" for output that was merged
// under the first one's id and "2+3<" for that under the last one's.
func got(seed maphash.Seed, facts []fact, list string) []entry {
	var log []entry
	for name := range strings.FieldsSeq(list) {
		last := strings.HasSuffix(name, "<")
		var first, n int
		var text string
		numbers := strings.Split(strings.TrimSuffix(name, "<"), "+")
		for i, number := range numbers {
			if _, err := fmt.Sscan(number, &n); err != nil {
				panic(err)
			}
			if i == 0 {
				first = n
			}
			if n < len(facts) && facts[n].Output != nil {
				text += facts[n].Output.Text
			}
		}
		e := entry{id: fmt.Sprint("e", first), task: "t"}
		if last {
			e.id = fmt.Sprint("e", n)
		}
		if n < len(facts) && facts[n].Output != nil {
			e.pieces, e.text = int64(len(numbers)), maphash.String(seed, text)
		}
		log = append(log, e)
	}
	return log
}

func TestReconcile(t *testing.T) {
	for _, c := range []struct {
		name, log, got string
		want           verdict
	}{
		{"everything", "sppos", "0 1 2 3 4", verdict{}},
		{"superseded progress", "spps", "0 2 3", verdict{superseded: 1}},
		{"the newest progress must come", "spps", "0 1 3", verdict{missing: 1}},
		{"no progress at all", "spps", "0 3", verdict{missing: 2}},
		{"a state is missing", "sss", "0 2", verdict{missing: 1}},
		{"the end is missing", "sss", "0 1", verdict{missing: 1}},
		{"output is missing", "soos", "0 2 3", verdict{missing: 1}},
		{"a state twice", "ss", "0 1 1", verdict{twice: 1}},
		{"progress twice", "sps", "0 1 1 2", verdict{twice: 1}},
		{"output twice", "soos", "0 1 2 1 3", verdict{twice: 1}},
		{"turned around", "sss", "0 2 1", verdict{disordered: 1}},
		{"older progress after newer", "spps", "0 2 1 3", verdict{disordered: 1}},
		{"unknown", "ss", "0 1 7", verdict{foreign: 1}},
		{"merged", "sooos", "0 1+2+3 4", verdict{merged: 2}},
		{"merged, named for the last", "sooos", "0 1+2+3< 4", verdict{merged: 2}},
		{"merged over progress", "sopos", "0 1+3 2 4", verdict{merged: 1, disordered: 1}},
		{"merged over superseded progress", "sopops", "0 1+3 4 5", verdict{merged: 1, superseded: 1}},
		{"merged, and one again", "sooos", "0 1+2 2 3 4", verdict{merged: 1, twice: 1}},
		{"merged with a hole", "sooos", "0 1+3 4", verdict{merged: 1, garbled: 1, missing: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed, facts := maphash.MakeSeed(), shelf(c.log)
			v := reconcile(seed, got(seed, facts, c.got), facts)
			v.examples = nil
			c.want.got = v.got
			if fmt.Sprint(*v) != fmt.Sprint(c.want) {
				t.Errorf("verdict %+v, want %+v", *v, c.want)
			}
		})
	}
}

func TestReconcileAnotherTask(t *testing.T) {
	v := reconcile(maphash.MakeSeed(), []entry{{id: "e0", task: "other"}}, nil)
	if v.foreign != 1 {
		t.Errorf("verdict %+v", v)
	}
}

// TestReconcileSeesEveryLoss takes one event out of a complete log, or puts one
// in again, and wants to hear of it.
func TestReconcileSeesEveryLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.StringOfN(rapid.SampledFrom([]rune("spo")), 1, 20, -1).Draw(t, "log")
		seed, facts := maphash.MakeSeed(), shelf(kinds)
		var all []string
		for n := range facts {
			all = append(all, fmt.Sprint(n))
		}
		complete := got(seed, facts, strings.Join(all, " "))
		if v := reconcile(seed, complete, facts); v.wrong() != 0 {
			t.Fatalf("complete: %+v", v)
		}
		n := rapid.IntRange(0, len(complete)-1).Draw(t, "which")
		without := append(append([]entry(nil), complete[:n]...), complete[n+1:]...)
		v := reconcile(seed, without, facts)
		superseded := kinds[n] == 'p' && strings.Contains(kinds[n+1:], "p")
		if superseded != (v.wrong() == 0) {
			t.Fatalf("without %d: %+v", n, v)
		}
		again := rapid.IntRange(n+1, len(complete)).Draw(t, "again at")
		twice := append(append(append([]entry(nil), complete[:again]...), complete[n]), complete[again:]...)
		if v := reconcile(seed, twice, facts); v.twice != 1 || v.wrong() != 1 {
			t.Fatalf("%d again: %+v", n, v)
		}
	})
}
