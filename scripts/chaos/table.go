package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aiecs/tasklane/scripts/chaos/checker"
)

// write prints the verdict and returns how many things are wrong.
func (a *arena) write(out io.Writer, chosen []fault, r *checker.Report) int {
	fmt.Fprintf(out, "\nchaos on %s, %d node(s), seed %d, %v, %d processors, session %v\n\n", a.config.broker,
		a.config.nodes, a.config.seed,
		time.Since(a.phases[0].from).Round(time.Second), len(a.workers), a.config.session)
	missed := a.writeTable(out, chosen, r)
	a.writeCounters(out, r)
	for _, f := range missed {
		fmt.Fprintf(out, "NOT HIT    %s: no %s\n", f.name, f.evidence)
	}
	for _, text := range a.problems {
		fmt.Fprintf(out, "PROBLEM    %s\n", text)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(out, "VIOLATION  %s during %s: %s\n", v.Invariant, a.phases[v.Phase].name, v.Text)
	}
	if more := r.Failed() - len(r.Violations); more > 0 {
		fmt.Fprintf(out, "           and %d more\n", more)
	}
	return r.Failed() + len(missed) + len(a.problems)
}

// writeTable prints fault by invariant: how often it was checked for what
// belongs to the fault, and after a ! how often it did not hold.
func (a *arena) writeTable(out io.Writer, chosen []fault, r *checker.Report) (missed []fault) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "fault\trounds\thits\t")
	for _, i := range checker.Invariants() {
		fmt.Fprint(t, i, "\t")
	}
	fmt.Fprintln(t)
	for _, f := range slices.Concat([]fault{{name: startPhase}}, chosen, []fault{{name: calmPhase}, {name: endPhase}}) {
		hits, rounds := "", ""
		if got := a.results[f.name]; f.does != "" && (got == nil || got.hits == 0) {
			missed = append(missed, f)
			hits = "0"
		} else if got != nil {
			hits, rounds = fmt.Sprint(got.hits), fmt.Sprint(got.rounds)
		}
		fmt.Fprint(t, f.name, "\t", rounds, "\t", hits, "\t")
		for _, i := range checker.Invariants() {
			fmt.Fprint(t, a.cell(f.name, r.Checked[i], r.Broken[i]), "\t")
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush()
	return missed
}

func (a *arena) cell(name string, checked, broken []int) string {
	n, wrong := 0, 0
	for i, p := range a.phases {
		if p.name == name {
			n += checked[i]
			wrong += broken[i]
		}
	}
	switch {
	case wrong > 0:
		return fmt.Sprintf("%d!%d", n, wrong)
	case n == 0:
		return "."
	}
	return fmt.Sprint(n)
}

func (a *arena) writeCounters(out io.Writer, r *checker.Report) {
	n := r.Counters
	lines := [][2]any{
		{"tasks on the lanes", fmt.Sprintf("%d, and %d records that name none", n.Tasks, n.Unreadable)},
		{"acknowledged, in doubt", fmt.Sprintf("%d, %d", len(a.load.acks), a.load.refused)},
		{"dead letters", n.Letters},
		{"records of task-events", n.Events},
		{"  of superseded owners", n.Stale},
		{"  repeated or too late", n.Repeated},
		{"  beyond the broker's clock", n.Ahead},
		{"  without proper headers", n.Malformed},
		{"gaps", n.Gaps},
		{"tasks received again", n.Repeats},
		{"attempts lost, handed over, retried", fmt.Sprintf("%d, %d, %d", n.Lost, n.Handed, n.Retried)},
		{"executions, of these again", fmt.Sprintf("%d, %d", n.Executions, n.Again)},
		{"readers from commits, from the middle", fmt.Sprintf("%d, %d", n.CommitViews, n.MiddleViews)},
		{"  with no owner in sight", n.Unsighted},
		{"memory at most, MiB", a.peaks()},
		{"take-overs after kill -9", takeOverText(a.book.takeOvers(), true, a.config.session+2*time.Second)},
		{"  while others joined or were missed", takeOverText(a.book.takeOvers(), false, a.config.session+2*time.Second)},
		{"times the load held back", a.load.held},
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t)
	for _, l := range lines {
		fmt.Fprintf(t, "%v\t%v\n", l[0], l[1])
	}
	_ = t.Flush()
	var ends []string
	for _, status := range slices.Sorted(maps.Keys(n.Status)) {
		ends = append(ends, fmt.Sprintf("%s %d", status, n.Status[status]))
	}
	fmt.Fprintf(out, "ends: %s\n\n", strings.Join(ends, ", "))
}

// takeOverText sums up how long take-overs took: to the fence, and to the next
// task that ran in the shard if its owner had been at work there.
func takeOverText(all []takeOver, whole bool, limit time.Duration) string {
	var fenced, worked []time.Duration
	count, late := 0, 0
	for _, t := range all {
		if t.whole != whole {
			continue
		}
		count++
		if t.fenced > 0 {
			fenced = append(fenced, t.fenced)
		}
		if t.held && t.worked > 0 {
			worked = append(worked, t.worked)
		}
		if t.fenced > limit || t.held && t.worked > limit {
			late++
		}
	}
	return fmt.Sprintf("%d shards; fence %s; next running %s; %d above %v", count, spread(fenced), spread(worked), late,
		limit)
}

func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	return fmt.Sprintf("%.1f s at the median, %.1f s at most", all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
}
