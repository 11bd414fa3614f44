package runqueue

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what the queue must be, said naively: all items in one list, every
// rule looked up, everything scanned.
type model struct {
	t       *rapid.T
	q       *Queue[any]
	now     time.Time
	slots   int
	ordered bool
	rules   map[ruleKey]Rule
	starts  map[ruleKey][]time.Time // under the present rule
	queued  []*Item[any]
	running []*Item[any]
	pushed  int
	gone    int // done, dropped or removed
}

func newModel(t *rapid.T) *model {
	m := &model{
		t: t, now: time.Unix(1_000_000, 0), slots: rapid.IntRange(1, 5).Draw(t, "slots"),
		ordered: rapid.Bool().Draw(t, "ordered"), rules: map[ruleKey]Rule{}, starts: map[ruleKey][]time.Time{},
	}
	m.q = New(Config[any]{Slots: m.slots, Ordered: m.ordered})
	m.q.now = func() time.Time { return m.now }
	return m
}

func (m *model) push() {
	t := m.t
	m.pushed++
	i := &Item[any]{
		Value: m.pushed, User: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "user"),
		Service:  rapid.SampledFrom([]string{"x", "y"}).Draw(t, "service"),
		Task:     rapid.SampledFrom([]string{"p", "q"}).Draw(t, "task"),
		Priority: rapid.IntRange(0, 10).Draw(t, "priority"), Cost: rapid.SampledFrom([]int{1, 1, 1, 2, 3, 9}).Draw(t, "cost"),
		At: m.now, Order: int64(m.pushed), Suspect: rapid.IntRange(0, 9).Draw(t, "suspect") == 0,
		Drop:  rapid.SampledFrom([]Why{Kept, Kept, Kept, Kept, Kept, Kept, Kept, Kept, Refused, Cancelled}).Draw(t, "drop"),
		Holds: rapid.Bool().Draw(t, "holds"),
	}
	if rapid.IntRange(0, 4).Draw(t, "delayed") == 0 {
		i.NotBefore = m.now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(t, "delay")) * time.Millisecond)
	}
	if rapid.IntRange(0, 4).Draw(t, "expires") == 0 {
		i.Expires = m.now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "life")) * time.Millisecond)
	}
	m.q.push(i, m.now)
	m.queued = append(m.queued, i)
}

func (m *model) rule(kind Kind, i *Item[any]) (ruleKey, Rule) {
	key := ruleKey{kind, map[Kind]string{User: i.User, Service: i.Service, Task: i.Task}[kind]}
	if _, ok := m.rules[key]; !ok && kind != Task && kind != Lane {
		return key, m.rules[ruleKey{kind: kind}]
	}
	return key, m.rules[key]
}

// blocked says why an item may not start; "" if it may.
func (m *model) blocked(i *Item[any]) string {
	if m.now.Before(i.NotBefore) || i.Drop != Kept || !i.Expires.IsZero() && !m.now.Before(i.Expires) {
		return "not due, refused or expired"
	}
	used := 0
	for _, r := range m.running {
		used += r.Cost
		if m.ordered && r.User == i.User || r.Suspect && i.Suspect {
			return "another one runs"
		}
	}
	if used+i.Cost > m.slots {
		return "slots"
	}
	for _, kind := range []Kind{User, Service, Task, Lane} {
		key, rule := m.rule(kind, i)
		running := 0
		for _, r := range m.running {
			if other, _ := m.rule(kind, r); other == key {
				running++
			}
		}
		if rule.Blocked || rule.MaxRunning > 0 && running >= rule.MaxRunning {
			return fmt.Sprint("rule ", key)
		}
		if rule.MaxStartsPerS > 0 && !m.bucket(key, rule) {
			return fmt.Sprint("rate ", key)
		}
	}
	if m.ordered {
		for _, o := range m.queued {
			if o.User == i.User && o != i && (o.Order < i.Order && !m.now.Before(o.NotBefore) && o.Drop == Kept || o.Holds &&
				m.now.Before(o.NotBefore) && o.Drop == Kept) {
				return "order"
			}
		}
	}
	return ""
}

// bucket reports whether the starts under a rule leave room for another.
func (m *model) bucket(key ruleKey, rule Rule) bool {
	depth := max(int(rule.MaxStartsPerS/10), 1)
	interval := time.Duration(float64(time.Second) / rule.MaxStartsPerS)
	var full time.Time
	for _, at := range m.starts[key] {
		if full.Before(at) {
			full = at
		}
		full = full.Add(interval)
	}
	for range depth - 1 {
		full = full.Add(-interval)
	}
	return !m.now.Before(full)
}

// take takes one step and compares.
func (m *model) take() bool {
	for {
		s := m.q.next(m.now)
		for _, d := range s.dropped {
			if d.why != Expired && d.why != d.item.Drop || d.why == Kept || d.why == Expired && m.now.Before(d.item.Expires) {
				m.t.Fatalf("dropped %v for no reason", d.item.Value)
			}
			m.forget(&m.queued, d.item)
			m.gone++
		}
		if s.item != nil {
			m.started(s.item)
			return true
		}
		if !s.again {
			m.idle(s.until)
			return false
		}
	}
}

func (m *model) started(i *Item[any]) {
	if why := m.blocked(i); why != "" {
		m.t.Fatalf("%v started in spite of %s", i.Value, why)
	}
	for _, kind := range []Kind{User, Service, Task, Lane} {
		key, _ := m.rule(kind, i)
		m.starts[key] = append(m.starts[key], m.now)
	}
	m.forget(&m.queued, i)
	m.running = append(m.running, i)
}

// idle checks that nothing is kept back without a reason.
func (m *model) idle(until time.Time) {
	m.checkStats()
	r := m.q.reserved
	if r.flow != nil && (r.passed >= m.slots || m.now.Sub(r.since) >= Patience) {
		return // slots are kept for a big one
	}
	for _, i := range m.queued {
		if i.Drop != Kept || !i.Expires.IsZero() && !m.now.Before(i.Expires) {
			m.t.Fatalf("%v is refused or expired and still there", i.Value)
		}
		if why := m.blocked(i); why == "" {
			m.t.Fatalf("nothing starts, but %v of %s could", i.Value, i.User)
		}
		if m.now.Before(i.NotBefore) && (until.IsZero() || until.After(i.NotBefore)) {
			m.t.Fatalf("it sleeps until %v past %v", until, i.NotBefore)
		}
	}
}

// checkStats checks that the statistics say so too: a processor that has free slots
// and tasks that could run, and starts none, ends itself.
func (m *model) checkStats() {
	stats := m.q.Stats()
	could := stats.Queued - stats.Waiting
	for _, n := range stats.Parked {
		could -= n
	}
	if could < 0 || could > 0 && stats.SlotsFree > 0 {
		m.t.Fatalf("nothing starts, but by the statistics %d could: %+v", could, stats)
	}
}

func (m *model) forget(from *[]*Item[any], i *Item[any]) {
	for at, o := range *from {
		if o == i {
			*from = append((*from)[:at:at], (*from)[at+1:]...)
			return
		}
	}
	m.t.Fatalf("%v came out and was not in", i.Value)
}

func (m *model) finish(i *Item[any]) {
	if m.q.done(i, m.now) && i.Suspect {
		m.q.config.Gate.leave()
	}
	m.forget(&m.running, i)
	m.gone++
}

func (m *model) setRule(r Rule) {
	key := rapid.SampledFrom([]ruleKey{{User, ""}, {User, "a"}, {User, "b"}, {Service, ""}, {Service, "x"}, {Task, "p"},
		{Task, "q"}, {Lane, ""}}).Draw(m.t, "key")
	before := map[ruleKey]Rule{}
	for _, i := range append(append([]*Item[any](nil), m.queued...), m.running...) {
		for _, kind := range []Kind{User, Service, Task, Lane} {
			k, rule := m.rule(kind, i)
			before[k] = rule
		}
	}
	for k := range m.starts {
		if _, ok := before[k]; !ok {
			_, before[k] = m.rule(k.kind, &Item[any]{User: k.name, Service: k.name, Task: k.name})
		}
	}
	if m.q.setRule(key.kind, key.name, r, m.now); r == (Rule{}) {
		delete(m.rules, key)
	} else {
		m.rules[key] = r
	}
	for k, was := range before { // a new rate starts with a full bucket
		if _, is := m.rule(k.kind, &Item[any]{User: k.name, Service: k.name,
			Task: k.name}); is.MaxStartsPerS != was.MaxStartsPerS {
			delete(m.starts, k)
		}
	}
}

func drawRule(t *rapid.T) Rule {
	return Rule{
		MaxRunning:    rapid.IntRange(0, 2).Draw(t, "max"),
		MaxStartsPerS: rapid.SampledFrom([]float64{0, 0, 1, 30}).Draw(t, "rate"),
		Blocked:       rapid.IntRange(0, 5).Draw(t, "blocked") == 0,
	}
}

// check looks for what must hold inside the queue at any time.
func (m *model) check() {
	reachable := map[*class[any]]int{}
	for _, u := range m.q.ready.All() {
		if !m.q.open(u.user, m.now) || u.flows.Len() == 0 {
			m.t.Fatalf("user %s is ready and may not run", u.name)
		}
		if u != u.standing() {
			m.t.Fatalf("user %s stands among the ready with %d, %d and has %d, %d", u.name, u.finish, u.turn, u.user.finish,
				u.user.turn)
		}
		for _, f := range u.flows.All() {
			reachable[f.class]++
		}
	}
	for _, c := range m.q.classes {
		if c.reachable != reachable[c] {
			m.t.Fatalf("class %+v counts %d of %d", c.key, c.reachable, reachable[c])
		}
	}
}

func (m *model) act() {
	t := m.t
	defer m.check()
	switch what := rapid.IntRange(0, 19).Draw(t, "what"); {
	case what < 8:
		m.push()
	case what < 13:
		m.take()
	case what < 16 && len(m.running) > 0:
		m.finish(rapid.SampledFrom(m.running).Draw(t, "done"))
	case what == 16 && len(m.queued) > 0:
		i := rapid.SampledFrom(m.queued).Draw(t, "removed")
		if !m.q.remove(i, m.now) {
			t.Fatalf("%v cannot be removed", i.Value)
		}
		m.forget(&m.queued, i)
		m.gone++
	case what == 17:
		m.setRule(drawRule(t))
	default:
		m.now = m.now.Add(time.Duration(rapid.IntRange(1, 2000).Draw(t, "time")) * time.Millisecond)
	}
}

// drain lifts all rules and runs the queue empty: nothing is lost.
func (m *model) drain() {
	for _, key := range []ruleKey{{User, ""}, {User, "a"}, {User, "b"}, {Service, ""}, {Service, "x"}, {Task, "p"},
		{Task, "q"}, {Lane, ""}} {
		m.q.setRule(key.kind, key.name, Rule{}, m.now)
	}
	m.rules = map[ruleKey]Rule{}
	m.now = m.now.Add(time.Hour)
	for len(m.queued)+len(m.running) > 0 {
		for len(m.running) > 0 {
			m.finish(m.running[0])
		}
		if !m.take() && len(m.queued) > 0 {
			m.t.Fatalf("%d of %d items are stuck", len(m.queued), m.pushed)
		}
	}
	q := m.q
	if q.free != m.slots || q.items.count != 0 || q.ready.Len()+q.waiting.Len()+q.expiring.Len() != 0 ||
		m.gone != m.pushed {
		m.t.Fatalf("empty, but not clean: %+v", q)
	}
	for _, c := range q.classes {
		if c.parked.Len() != 0 || c.reachable != 0 || c.service.running != 0 {
			m.t.Fatalf("class %+v is not clean", c)
		}
	}
	q.pass(m.now.Add(time.Hour), &step[any]{})
	for q.indebted.Len() > 0 {
		q.forgive(m.now.Add(time.Hour))
	}
	if len(q.users) != 0 {
		m.t.Fatalf("%d users left in an empty queue", len(q.users))
	}
}

// TestAgainstTheModel: nothing starts that may not, nothing is kept back that
// may, nothing is lost, whatever comes in whatever order.
func TestAgainstTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			m.act()
		}
		m.drain()
	})
}
