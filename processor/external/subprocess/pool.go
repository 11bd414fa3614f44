package subprocess

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
	"github.com/aiecs/tasklane/schemas"
)

// maxSuspects bounds how many tasks are remembered that were in a child when it ended.
const maxSuspects = 10_000

// Pool keeps the children of a service.
type Pool struct {
	config Config

	mu       sync.Mutex
	children []*child        // those that take tasks
	living   map[*child]bool // these, and those that finish what they have
	known    *message.Description
	suspects map[string]bool // tasks that were in a child which ended
	down     time.Time       // since when there is no child; zero while there is one
	why      map[int]ending  // what keeps a seat from having a child
	refused  int             // admissions in a row
}

// New makes a pool that starts nothing: see [Pool.Service].
func New(c Config) (*Pool, error) {
	c.setDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("subprocess %s/%s: %w", c.Mode, c.Name, err)
	}
	c.Logger = c.Logger.With("service", c.Mode+"/"+c.Name)
	return &Pool{
		config: c, living: map[*child]bool{}, suspects: map[string]bool{}, why: map[int]ending{}, down: time.Now(),
	}, nil
}

// run keeps the children until ctx ends, and ends them then.
func (p *Pool) run(ctx context.Context, at processor.Cluster) error {
	var seats sync.WaitGroup
	for n := range p.config.Children {
		s := &seat{pool: p, number: n, at: at}
		seats.Go(func() { s.run(ctx) })
	}
	if p.config.MaxMemory > 0 {
		seats.Go(func() { p.watchMemory(ctx) })
	}
	seats.Wait()
	return nil
}

// place is room in a child for one task.
type place struct {
	pool *Pool
	// Under the pool's lock:
	child *child
	used  bool
}

// Release implements [processor.Grant].
func (g *place) Release() {
	p := g.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.used {
		return
	}
	g.used = true
	g.child.served--
	p.release(g.child)
}

// release gives room back. Called under the lock.
func (p *Pool) release(c *child) {
	c.taken--
	if c.taken == 0 {
		c.alone = false
		signal(c.wornOrEmpty)
	}
}

// Bounds of how long a task waits before it asks again.
const (
	minAsk     = 2 * time.Millisecond
	maxAsk     = 900 * time.Millisecond
	askEach    = 200 * time.Microsecond // of those that wait
	minDownAsk = 50 * time.Millisecond
	maxDownAsk = 30 * time.Second
	keptFor    = 5 * time.Second
)

// admit implements [processor.Admit]: a task is let in when a child has room for it. One that was in a child which
// ended is let in where it is alone.
func (p *Pool) admit(t *schemas.Task) (processor.Grant, *processor.Wait) {
	g, wait := p.room(keyOf(t))
	if wait != nil {
		return nil, wait
	}
	return g, nil
}

func (p *Pool) room(key string) (*place, *processor.Wait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	name := p.config.Mode + "/" + p.config.Name
	if !p.down.IsZero() {
		ask := max(min(now.Sub(p.down), maxDownAsk), minDownAsk)
		return nil, &processor.Wait{
			For: schemas.WaitService, Until: now.Add(ask), Name: "service/" + name,
			Reason: "no child is ready" + p.reason(func(e ending) string { return e.reason }),
		}
	}
	suspect := p.suspects[key]
	best := p.roomiest(suspect, now)
	if best == nil {
		p.refused++
		ask := max(min(time.Duration(p.refused)*askEach, maxAsk), minAsk)
		return nil, &processor.Wait{
			For: schemas.WaitLimit, Until: now.Add(ask), Name: "service/" + name,
			Reason: "its children have as many tasks as they take",
		}
	}
	p.refused = 0
	best.taken++
	best.alone = suspect
	p.serve(best)
	return &place{pool: p, child: best}, nil
}

// roomiest is the child with the fewest tasks of those that take another, nil if none does. A suspect that has to wait
// has one kept for it.
func (p *Pool) roomiest(suspect bool, now time.Time) *child {
	var best *child
	for _, c := range p.children {
		if c.worn || c.alone || c.taken >= c.places || suspect && c.taken > 0 || !suspect && now.Before(c.keptUntil) {
			continue
		}
		if best == nil || c.taken < best.taken {
			best = c
		}
	}
	if best != nil || !suspect {
		if suspect {
			best.keptUntil = time.Time{}
		}
		return best
	}
	var kept *child
	for _, c := range p.children {
		if now.Before(c.keptUntil) {
			return nil
		}
		if !c.worn && (kept == nil || c.taken < kept.taken) {
			kept = c
		}
	}
	if kept != nil {
		kept.keptUntil = now.Add(keptFor)
	}
	return nil
}

// serve counts a task against a child's limit. Called under the lock.
func (p *Pool) serve(c *child) {
	if c.served++; c.limit > 0 && c.served >= c.limit {
		p.wear(c)
	}
}

// wear lets a child have no more tasks. Called under the lock.
func (p *Pool) wear(c *child) {
	if !c.worn {
		c.worn = true
		signal(c.wornOrEmpty)
	}
}

// use is the execution that takes the place, in another child if its own has ended meanwhile; nil if there is none.
func (g *place) use(key string) *execution {
	p := g.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.used {
		return nil
	}
	e := g.child.begin(key)
	g.used = e != nil
	return e
}

// over frees the place of an execution that is over.
func (p *Pool) over(e *execution) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.suspects, e.key)
	p.release(e.child)
}

// add lets a child have tasks.
func (p *Pool) add(c *child, places int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.places = places
	if most := p.config.MaxTasks; most > 0 {
		c.limit = most + rand.IntN(most/5+1) //nolint:gosec // so that children are not worn at the same time
	}
	p.children = append(p.children, c)
	p.living[c] = true
	p.down = time.Time{}
	delete(p.why, c.seat)
}

// remove takes out a child that ends, for a reason if nobody has asked for it. What was in it is suspected.
func (p *Pool) remove(c *child, why ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.children {
		if other == c {
			p.children = append(p.children[:i:i], p.children[i+1:]...)
			break
		}
	}
	if len(p.children) == 0 && p.down.IsZero() {
		p.down = time.Now()
	}
	if why.reason != "" {
		p.why[c.seat] = why
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.executions {
		if len(p.suspects) < maxSuspects {
			p.suspects[e.key] = true
		}
	}
}

// gone takes out a child that has ended.
func (p *Pool) gone(c *child) {
	p.remove(c, ending{})
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.living, c)
}

// fail notes why a seat has no child.
func (p *Pool) fail(seat int, why ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why[seat] = why
}

// reason is what keeps seats from having children, as it is told. Called under the lock.
func (p *Pool) reason(told func(ending) string) string {
	for seat := range p.config.Children {
		if why, known := p.why[seat]; known {
			return ": " + told(why)
		}
	}
	return " yet"
}

// warnings are what is not as it should be with the children.
func (p *Pool) warnings() []string {
	if text := p.warning(); text != "" {
		return []string{"service " + p.config.Mode + "/" + p.config.Name + ": " + text}
	}
	return nil
}

// warning is why children are not ready, "" if all are.
func (p *Pool) warning() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.why) == 0 && p.down.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d of %d children are ready%s", len(p.children), p.config.Children,
		strings.ReplaceAll(p.reason(ending.Error), "\n", " | "))
}

func keyOf(t *schemas.Task) string { return t.UserID + "\x00" + t.TaskID }
