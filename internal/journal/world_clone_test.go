package journal

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/aiecs/tasklane/schemas"
)

// clone is a copy of the world that shares nothing that changes.
func (w *world) clone() *world {
	n := *w
	n.journal = w.journal[:len(w.journal):len(w.journal)]
	n.waits = w.waits[:len(w.waits):len(w.waits)]
	n.truth = w.truth.clone()
	n.buried = slices.Clone(w.buried)
	for i, o := range w.owners {
		n.owners[i] = o.clone(&n)
	}
	return &n
}

func (o *owner) clone(w *world) *owner {
	n := *o
	n.w = w
	n.flights = slices.Clone(o.flights)
	n.orphans = slices.Clone(o.orphans)
	n.waitFlights, n.waitOrphans = slices.Clone(o.waitFlights), slices.Clone(o.waitOrphans)
	jobs := map[*Job]*Job{}
	if o.shard != nil {
		n.shard = o.shard.clone(&n, jobs)
	}
	n.buries = cloneJobs(o.buries, jobs)
	return &n
}

func cloneJob(j *Job, jobs map[*Job]*Job) *Job {
	if j == nil {
		return nil
	}
	n := jobs[j]
	if n == nil {
		n = new(Job)
		*n = *j
		jobs[j] = n
	}
	return n
}

func cloneJobs(from []*Job, jobs map[*Job]*Job) []*Job {
	to := make([]*Job, len(from))
	for i, j := range from {
		to[i] = cloneJob(j, jobs)
	}
	return to
}

func (s *Shard) clone(p Port, jobs map[*Job]*Job) *Shard {
	n := *s
	n.port = p
	n.tracker.jobs, n.tracker.head = cloneJobs(s.tracker.live(), jobs), 0
	n.outbox.records, n.outbox.head = slices.Clone(s.outbox.records[s.outbox.head:]), 0
	for i := range n.outbox.records {
		r := &n.outbox.records[i]
		r.job = cloneJob(r.job, jobs)
		if r.event != nil {
			e := *r.event
			r.event = &e
		}
	}
	w := *s.window
	w.seen, w.ended = maps.Clone(w.seen), slices.Clone(w.ended)
	n.window = &w
	n.history = make(map[sourceID]*past, len(s.history))
	for id, p := range s.history {
		known := *p
		n.history[id] = &known
	}
	s.cloneWaits(&n, jobs)
	s.cloneClaims(&n, jobs)
	return &n
}

// print collects what tells two worlds apart.
type print struct{ b []byte }

func (p *print) ints(values ...int64) {
	for _, v := range values {
		p.b = binary.AppendVarint(p.b, v)
	}
}

func (p *print) bools(values ...bool) {
	for _, v := range values {
		if v {
			p.b = append(p.b, 1)
		} else {
			p.b = append(p.b, 0)
		}
	}
}

func (p *print) state(s State) { p.ints(s.Epoch, s.Seq) }

func (p *print) commit(c Commit) {
	p.ints(c.Offset, c.Position, c.Own, c.Window)
	p.state(c.Before)
}

func (p *print) record(r *landed) {
	p.ints(r.Stamp.Epoch, r.Stamp.Seq, r.source, int64(r.attempt), int64(len(r.status)), int64(len(r.kind)))
	p.b = append(p.b, r.worker...)
	p.bools(r.fresh)
}

func (p *print) past(t *past) {
	p.bools(t.started, t.ended, t.repeat, t.open, t.deferred)
	p.ints(int64(t.failed), t.first.offset, int64(t.attempts), int64(t.running), int64(t.handed), t.endedAt)
	p.state(t.ran)
	p.state(t.first.before)
}

// hash tells worlds apart in which something else can happen.
func (w *world) hash(seed maphash.Seed, p *print) uint64 {
	p.b = p.b[:0]
	for i := range w.journal {
		p.record(&w.journal[i])
	}
	p.waits(w)
	p.commit(w.commit)
	p.ints(int64(w.generation), int64(w.assigned), w.fences)
	p.bools(w.restarted, w.lifted)
	p.bools(w.buried...)
	l := &w.left
	for _, n := range []int8{l.rebalance, l.crash, l.restart, l.fail, l.commits, l.reports, l.handOvers, l.cancels, l.marks, l.stalls, l.rejoins, l.retries, l.defers, l.compacts, l.condemns, l.tears, l.finds, l.measures} {
		p.b = append(p.b, byte(n))
	}
	for _, o := range w.owners {
		p.owner(o)
	}
	return maphash.Bytes(seed, p.b)
}

func (p *print) owner(o *owner) {
	p.b = append(p.b, 0xfe)
	p.bools(o.up, o.shard != nil, o.loading, o.confirming, o.contested, o.commit != nil)
	p.ints(int64(o.generation), int64(o.incarnation), o.laneNext, o.readAt, int64(len(o.flights)), int64(len(o.orphans)))
	for i := range o.flights {
		p.record(&o.flights[i].record)
		p.ints(o.flights[i].offset)
	}
	p.waitFlights(o)
	for i := range o.orphans {
		p.record(&o.orphans[i])
	}
	for _, j := range o.buries {
		p.bools(j.verdict != nil)
		p.ints(j.Offset)
	}
	if o.commit != nil {
		p.commit(*o.commit)
		p.ints(int64(o.commitGen))
	}
	if o.shard != nil {
		p.shard(o.shard)
	}
}

func (p *print) shard(s *Shard) {
	p.ints(int64(s.phase), s.known, s.next, s.raisedAt, s.readEnd, s.fenceAt, s.foldFrom, s.tracker.prefix, int64(s.working))
	p.state(s.own)
	p.state(s.fold)
	p.commit(s.commit)
	p.commit(s.committed)
	p.waitlog(s)
	p.claims(s)
	for _, j := range s.jobs() {
		p.state(j.Wait)
		p.bools(j.written, j.successor != nil)
		p.ints(int64(j.inFlight))
		p.ints(j.Offset, int64(j.stage), int64(j.Attempt))
		p.bools(j.offered, j.begun, j.working, j.buried, j.finished)
		p.state(j.ran)
		p.past(&j.past)
	}
	for _, r := range s.outbox.records[s.outbox.head:] {
		p.state(r.at)
		p.ints(r.offset)
		p.bools(r.counted, r.job != nil)
		if r.job != nil {
			p.ints(r.job.Offset, int64(len(r.event.Status)))
			p.bools(r.event.Kind == schemas.KindState)
		}
	}
	ids := slices.SortedFunc(maps.Keys(s.history), func(a, b sourceID) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), a.wait.compare(b.wait))
	})
	for _, id := range ids {
		p.ints(id.offset)
		p.past(s.history[id])
	}
	for _, t := range s.window.ended {
		p.ints(t.source, t.journal)
	}
	p.ints(int64(len(s.window.seen)))
}
