package shard

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/aiecs/tasklane/internal/fold"
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

func (s *Shard) clone(p *owner, jobs map[*Job]*Job) *Shard {
	n := *s
	n.port = Port{p, p, p, p}
	n.jobs.tracker.jobs, n.jobs.tracker.head = cloneJobs(s.jobs.tracker.live(), jobs), 0
	n.jobs.missing.jobs = make(map[fold.Identity]*Job, len(s.jobs.missing.jobs))
	for id, j := range s.jobs.missing.jobs {
		n.jobs.missing.jobs[id] = cloneJob(j, jobs)
	}
	n.jobs.journal.outbox = outbox[written]{records: slices.Clone(s.jobs.journal.outbox.live())}
	for i := range n.jobs.journal.outbox.records {
		r := &n.jobs.journal.outbox.records[i]
		r.record.job = cloneJob(r.record.job, jobs)
		if r.record.event != nil {
			e := *r.record.event
			r.record.event = &e
		}
	}
	w := *s.jobs.window
	w.seen, w.ended = maps.Clone(w.seen), slices.Clone(w.ended)
	n.jobs.window = &w
	n.jobs.unreceived = make(map[sourceID]*attemptHistory, len(s.jobs.unreceived))
	for id, p := range s.jobs.unreceived {
		known := *p
		n.jobs.unreceived[id] = &known
	}
	s.cloneWaits(&n, jobs)
	s.cloneClaims(&n, jobs)
	n.jobs.port, n.jobs.events.port, n.jobs.waits.port = n.port, n.port, n.port
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

func (p *print) state(s fold.State) { p.ints(s.Epoch, s.Seq) }

func (p *print) commit(c fold.Commit) {
	p.ints(c.Offset, c.Position, c.Own, c.Window)
	p.state(c.Before)
}

func (p *print) record(r *landed) {
	p.ints(r.Stamp.Epoch, r.Stamp.Seq, r.Appended, r.source, int64(r.attempt), int64(len(r.status)), int64(len(r.kind)))
	p.b = append(p.b, r.worker...)
	p.bools(r.fresh)
}

func (p *print) past(t *attemptHistory) {
	p.bools(t.started, t.ended, t.repeat, t.open, t.deferred)
	p.ints(int64(t.failed), t.first.Offset, int64(t.attempts), int64(t.running), int64(t.handed), t.endedAt)
	p.state(t.ran)
	p.state(t.first.Before)
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
	p.ints(w.log.start, w.log.end)
	p.ints(w.log.at...)
	p.ints(w.log.cuts...)
	p.bools(w.log.there...)
	p.bools(w.log.skipped...)
	p.bools(w.restarted, w.lifted, w.setBack)
	p.bools(w.buried...)
	l := &w.left
	for _, n := range []int8{l.rebalance, l.crash, l.restart, l.fail, l.commits, l.reports, l.handOvers, l.cancels,
		l.marks, l.stalls, l.rejoins, l.retries, l.defers, l.compacts, l.condemns, l.tears, l.finds, l.measures, l.cuts,
		l.removes, l.skips, l.forges, l.setbacks, l.lapses} {
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
	p.ints(int64(o.laneEpoch), int64(o.askedEpoch))
	if p.bools(o.measuring != nil); o.measuring != nil {
		p.ints(o.measuring.Start, o.measuring.End)
	}
	p.ints(int64(o.generation), int64(o.incarnation), o.laneNext, o.readAt, int64(len(o.flights)),
		int64(len(o.orphans)))
	for i := range o.flights {
		p.record(&o.flights[i].record)
		p.ints(o.flights[i].offset)
	}
	p.waitFlights(o)
	for i := range o.orphans {
		p.record(&o.orphans[i])
	}
	for _, j := range o.buries {
		p.bools(j.lastEvent != nil)
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
	p.bools(s.takeover.horizon.beyond)
	p.ints(int64(s.phase), s.takeover.known, s.takeover.horizon.appended, s.jobs.journal.next, s.jobs.journal.raisedAt,
		s.jobs.journal.readEnd, s.jobs.journal.fenceAt, s.takeover.foldFrom, s.jobs.tracker.prefix, s.jobs.tracker.received,
		s.jobs.tracker.furthest, s.takeover.asked, s.jobs.promised, s.takeover.refused, int64(s.jobs.working),
		int64(len(s.jobs.missing.jobs)))
	p.bools(s.jobs.unassigned, s.takeover.foreign, s.takeover.reassigned)
	p.ints(s.takeover.done)
	p.state(s.jobs.journal.own)
	p.state(s.jobs.journal.fold)
	p.commit(s.jobs.commit)
	p.commit(s.committed)
	p.waitlog(s)
	p.claims(s)
	for _, j := range s.jobs.all() {
		p.state(j.Wait)
		p.bools(j.successor != nil, j.cancelled)
		p.ints(int64(j.inFlight))
		p.ints(j.Offset, int64(j.stage), int64(j.Attempt))
		p.state(j.ran)
		p.past(&j.history)
	}
	for _, r := range s.jobs.journal.outbox.records[s.jobs.journal.outbox.head:] {
		p.state(r.at)
		p.ints(r.offset)
		p.bools(r.record.counted, r.record.job != nil)
		if r.record.job != nil {
			p.ints(r.record.job.Offset, int64(len(r.record.event.Status)))
			p.bools(r.record.event.Kind == schemas.KindState)
		}
	}
	ids := slices.SortedFunc(maps.Keys(s.jobs.unreceived), func(a, b sourceID) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), a.wait.Compare(b.wait), slices.Compare(a.task[:], b.task[:]))
	})
	for _, id := range ids {
		p.ints(id.offset)
		p.past(s.jobs.unreceived[id])
	}
	for _, t := range s.jobs.window.ended {
		p.ints(t.source, t.journal)
	}
	p.ints(int64(len(s.jobs.window.seen)))
}
