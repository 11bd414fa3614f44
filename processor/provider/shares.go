package provider

import "time"

// demand is how much of a limit an instance wants: the part of it that its requests take in a minute, and its backlog.
type demand struct {
	wants float64
	at    time.Time // when the broker took it
}

// shares is what all instances want, as the log says. Whoever has read as far knows the same, so that the shares of
// a limit are one in all. It reads no clock: the time is that of the newest record.
type shares struct {
	now     time.Time
	demands map[string]map[string]demand // by limit and instance
	alive   map[string]time.Time         // instances, and when they spoke last
}

// deadAfter is how long an instance may say nothing of a limit until it has no part of it.
const deadAfter = 3 * time.Second

func newShares() *shares {
	return &shares{demands: map[string]map[string]demand{}, alive: map[string]time.Time{}}
}

// pass notes the time of a record of an instance, of whatever kind.
func (s *shares) pass(instance string, at time.Time) {
	s.alive[instance] = at
	if at.After(s.now) {
		s.now = at
	}
}

// take notes what an instance wants of a limit.
func (s *shares) take(limit, instance string, wants float64, at time.Time) {
	s.pass(instance, at)
	of := s.demands[limit]
	if wants <= 0 {
		if delete(of, instance); len(of) == 0 {
			delete(s.demands, limit)
		}
		return
	}
	if of == nil {
		of = map[string]demand{}
		s.demands[limit] = of
	}
	of[instance] = demand{wants, at}
}

// share is an instance's part of a limit: by what it wants, so none where it has not said that it wants some. One that
// is alone has all of it.
func (s *shares) share(limit, instance string) float64 {
	var mine, all float64
	for who, d := range s.demands[limit] {
		if s.now.Sub(d.at) > deadAfter {
			continue
		}
		if all += d.wants; who == instance {
			mine = d.wants
		}
	}
	switch {
	case mine > 0:
		return mine / all
	case all > 0 || s.others(instance):
		return 0 // several that begin at once would use what each has saved up
	}
	return 1
}

// others reports whether there is another instance.
func (s *shares) others(instance string) bool {
	for who, at := range s.alive {
		if who != instance && s.now.Sub(at) <= deadAfter {
			return true
		}
	}
	return false
}

// sweep forgets the dead.
func (s *shares) sweep() {
	for limit, of := range s.demands {
		for who, d := range of {
			if s.now.Sub(d.at) > time.Minute {
				delete(of, who)
			}
		}
		if len(of) == 0 {
			delete(s.demands, limit)
		}
	}
	for who, at := range s.alive {
		if s.now.Sub(at) > time.Minute {
			delete(s.alive, who)
		}
	}
}

// backlogTime is how soon what waits should be done: the part of its backlog that an instance wants at once.
const backlogTime = 5 * time.Second

// wants is what a group's instance wants of its limit, with what it has used since the last look. It is called once a
// tick, of about a second.
func (g *group) wants(since time.Duration) float64 {
	seconds := max(since.Seconds(), 0.05)
	used := g.part(g.used) / seconds
	g.used = cost{}
	g.rate += (used - g.rate) * min(seconds/2, 1)
	one := g.part(g.asked)
	if one == 0 {
		one = g.part(cost{requests: 1})
	}
	wants := g.rate + float64(g.waiting.count)*one/backlogTime.Seconds()
	if wants < 1e-6 {
		return 0
	}
	return wants
}

// part is the largest part that a cost is of the limits a minute.
func (g *group) part(c cost) float64 {
	var most float64
	for _, one := range []struct {
		cost  float64
		limit int64
	}{{c.requests, g.rpm}, {c.input, g.itpm}, {c.output, g.otpm}} {
		if one.limit > 0 {
			most = max(most, one.cost/float64(one.limit))
		}
	}
	return most
}

// setShare gives the group another part of its limit. What had been saved up beyond that is gone.
func (g *group) setShare(share float64, now time.Time) {
	if share == g.share {
		return
	}
	for _, b := range []*bucket{&g.requests, &g.input, &g.output} {
		b.fill(now, g.share)
		b.level = min(b.level, b.depth(share))
	}
	g.share = share
}

// maxReports is how many limits an instance speaks of in a tick.
const maxReports = 2000

// report is what this instance wants of each limit that it uses, or has just stopped using.
func (l *limits) report(since time.Duration, now time.Time) map[string]float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]float64{}
	for key, g := range l.groups {
		if !g.limited() || g.shadow {
			continue
		}
		wants := g.wants(since)
		if g.waiting.sweep(now); wants == 0 && !g.told || len(all) >= maxReports {
			continue
		}
		g.told = wants > 0
		all[key] = wants
	}
	return all
}

// apply gives every group its share. Blind is an instance that does not know what the others want: it spends nothing.
func (l *limits) apply(share func(key string) float64, blind bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share, l.blind = share, blind
	for key, g := range l.groups {
		if g.limited() {
			g.setShare(l.shareOf(key), now)
		}
	}
}

// shareOf is a group's share; all of it where nobody shares. mu is held.
func (l *limits) shareOf(key string) float64 {
	switch {
	case l.blind:
		return 0
	case l.share == nil:
		return 1
	}
	return l.share(key)
}
