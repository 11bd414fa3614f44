package main

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// verdict is what a client's log says beside the history.
type verdict struct {
	got        int // messages
	merged     int // output pieces that came in the message of another
	superseded int // progress that gave way to a later one
	missing    int
	twice      int
	disordered int
	foreign    int // not in the history, or not for this client
	garbled    int // output whose text is not the log's
	examples   []string
}

// wrong is how many things are not as they must be.
func (v *verdict) wrong() int {
	return v.missing + v.twice + v.disordered + v.foreign + v.garbled
}

func (v *verdict) add(o *verdict) {
	v.got += o.got
	v.merged += o.merged
	v.superseded += o.superseded
	v.missing += o.missing
	v.twice += o.twice
	v.disordered += o.disordered
	v.foreign += o.foreign
	v.garbled += o.garbled
	v.examples = append(v.examples, o.examples...)
}

func (v *verdict) note(count *int, format string, args ...any) {
	if *count++; len(v.examples) < 5 {
		v.examples = append(v.examples, fmt.Sprintf(format, args...))
	}
}

// reconcile compares what a client got with the events that it should have got,
// both in order. Only order within a task is asked for.
func reconcile(seed maphash.Seed, log []entry, facts []fact) *verdict {
	v := &verdict{got: len(log)}
	tasks := map[string]*walk{}
	for i := range facts {
		w := tasks[facts[i].TaskID]
		if w == nil {
			w = &walk{verdict: v, seed: seed, places: map[string]int{}}
			tasks[facts[i].TaskID] = w
		}
		w.places[facts[i].EventID] = len(w.facts)
		w.facts = append(w.facts, &facts[i])
	}
	for i := range log {
		if w := tasks[log[i].task]; w == nil {
			v.note(&v.foreign, "%s is of a task that is not in the history", log[i].id)
		} else {
			w.step(&log[i])
		}
	}
	for _, w := range tasks {
		w.end()
	}
	return v
}

// walk goes through one task's events beside those that a client got.
type walk struct {
	*verdict
	seed   maphash.Seed
	facts  []*fact
	places map[string]int // of events in facts
	seen   map[int]bool
	at     int // the next fact that is due
}

// step takes the next event that the client got.
func (w *walk) step(e *entry) {
	place, known := w.places[e.id]
	switch {
	case !known:
		w.note(&w.foreign, "%s does not count or is not for this client", e.id)
	case w.seen[place]:
		w.note(&w.twice, "%s came twice", e.id)
	case place < w.at:
		w.note(&w.disordered, "%s came after a later event of its task", e.id)
		w.mark(place)
	case e.pieces > 0:
		w.output(e, place)
	default:
		w.mark(place)
		w.at = place + 1
	}
}

func (w *walk) mark(place int) {
	if w.seen == nil {
		w.seen = map[int]bool{}
	}
	w.seen[place] = true
}

// output takes a message of one piece or of several that were merged. It has the
// id of its first piece or of its last.
func (w *walk) output(e *entry, place int) {
	run := w.pieces(place, e.pieces)
	if e.pieces > 1 && w.at <= place && (len(run) < int(e.pieces) || w.hash(run) != e.text) {
		run = w.piecesBefore(place, e.pieces)
	}
	if len(run) < int(e.pieces) || w.hash(run) != e.text {
		w.note(&w.garbled, "%s has not the text of its %d pieces", e.id, e.pieces)
	}
	for _, n := range run {
		if w.seen[n] {
			w.note(&w.twice, "%s came twice, the second time in %s", w.facts[n].EventID, e.id)
		}
		w.mark(n)
		w.at = max(w.at, n+1)
	}
	w.merged += len(run) - 1
}

// pieces are the places of output from one on.
func (w *walk) pieces(from int, count int64) (places []int) {
	for n := from; n < len(w.facts) && int64(len(places)) < count; n++ {
		if w.facts[n].Output != nil {
			places = append(places, n)
		}
	}
	return places
}

// piecesBefore are the places of output up to one.
func (w *walk) piecesBefore(to int, count int64) (places []int) {
	from := to
	for found := int64(0); from >= 0; from-- {
		if w.facts[from].Output != nil {
			if found++; found == count {
				break
			}
		}
	}
	return w.pieces(max(from, 0), count)
}

func (w *walk) hash(places []int) uint64 {
	var text strings.Builder
	for _, n := range places {
		text.WriteString(w.facts[n].Output.Text)
	}
	return maphash.String(w.seed, text.String())
}

// end looks for what did not come. Progress may be left out where a later one of
// the task came.
func (w *walk) end() {
	later := false // a later progress came
	for n := len(w.facts) - 1; n >= 0; n-- {
		switch f := w.facts[n]; {
		case w.seen[n]:
			later = later || f.Kind == "progress"
		case f.Kind == "progress" && later:
			w.superseded++
		default:
			w.note(&w.missing, "%s (%s %s of %s, record %d/%d) did not come", f.EventID, f.Kind, f.Status, f.TaskID, f.partition,
				f.offset)
		}
	}
}
