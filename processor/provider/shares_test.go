package provider

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/schemas"
)

// TestSharesAreOne: whatever was said, the shares of the instances that want some are all of the limit, each by what it
// wants; who wants none, or has been silent, has none of it, unless it is alone.
func TestSharesAreOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now := newShares(), time.Unix(1e9, 0)
		names := []string{"a", "b", "c", "d"}
		wants, said := map[string]float64{}, map[string]time.Time{}
		for range rapid.IntRange(1, 40).Draw(t, "records") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
			who := rapid.SampledFrom(names).Draw(t, "who")
			wants[who], said[who] = float64(rapid.IntRange(0, 5).Draw(t, "wants")), now
			s.take("l", who, wants[who], now)
			if rapid.IntRange(0, 9).Draw(t, "sweep") == 0 {
				s.sweep()
			}
			var all float64
			for _, name := range names {
				if now.Sub(said[name]) <= deadAfter {
					all += wants[name]
				}
			}
			for _, name := range names {
				alone := true
				for other, at := range said {
					alone = alone && (other == name || now.Sub(at) > deadAfter)
				}
				want := 0.0
				switch mine := wants[name]; {
				case mine > 0 && now.Sub(said[name]) <= deadAfter:
					want = mine / all
				case alone && all == 0:
					want = 1
				}
				if got := s.share("l", name); got < want-1e-9 || got > want+1e-9 {
					t.Fatalf("%s has %f of it, want %f: %v", name, got, want, wants)
				}
			}
		}
	})
}

// cluster is some instances that share a limit over a log, in time of its own.
type cluster struct {
	now       time.Time
	log       []logged
	instances []*instance
	starts    []float64 // seconds, of the requests that were let through
	waited    []time.Duration
	begun     time.Time
	random    *rand.Rand
}

type logged struct {
	limit, instance string
	wants           float64
	at              time.Time
}

type instance struct {
	name    string
	limits  *limits
	shares  *shares
	read    int
	lag     time.Duration
	ticked  time.Time
	arrived float64
	rate    float64 // requests a second that arrive
	tasks   []*waits
	dead    bool
	n       int
}

type waits struct {
	key     schemas.TaskKey
	arrived time.Time
	looks   time.Time
}

func newCluster(seed uint64, rpm int64, rates ...float64) *cluster {
	c := &cluster{now: time.Unix(1e9, 0), begun: time.Unix(1e9, 0), random: rand.New(rand.NewPCG(seed, 1))}
	for i, rate := range rates {
		one := &instance{name: fmt.Sprint("i", i), limits: newLimits([]config.Limit{{Provider: "p", RPM: rpm}}),
			shares: newShares(), rate: rate, lag: time.Duration(50+100*i) * time.Millisecond,
			ticked: c.now.Add(time.Duration(i*300) * time.Millisecond)}
		one.limits.apply(func(key string) float64 { return one.shares.share(key, one.name) }, true, c.now)
		c.instances = append(c.instances, one)
	}
	return c
}

// step is 10 ms of everybody's life.
func (c *cluster) step() {
	const dt = 10 * time.Millisecond
	c.now = c.now.Add(dt)
	for _, i := range c.instances {
		if i.dead {
			continue
		}
		i.readOn(c)
		i.tick(c)
		for i.arrived += i.rate * dt.Seconds() * 2 * c.random.Float64(); i.arrived >= 1; i.arrived-- {
			i.n++
			i.tasks = append(i.tasks, &waits{schemas.TaskKey{UserID: i.name, TaskID: fmt.Sprint(i.n)}, c.now, c.now})
		}
		i.tasks = slices.DeleteFunc(i.tasks, func(w *waits) bool {
			if c.now.Before(w.looks) {
				return false
			}
			r, wait := i.limits.reserve(target{"p", "m"}, w.key, cost{requests: 1}, c.now)
			if wait != nil {
				w.looks = wait.Until
				return false
			}
			r.settle(cost{requests: 1}, c.now)
			c.starts = append(c.starts, c.now.Sub(c.begun).Seconds())
			c.waited = append(c.waited, c.now.Sub(w.arrived))
			return true
		})
	}
}

func (i *instance) readOn(c *cluster) {
	before := i.read
	for ; i.read < len(c.log) && c.now.Sub(c.log[i.read].at) >= i.lag; i.read++ {
		r := c.log[i.read]
		if r.limit == "" {
			i.shares.pass(r.instance, r.at)
			continue
		}
		i.shares.take(r.limit, r.instance, r.wants, r.at)
	}
	if i.read > before {
		i.limits.apply(func(key string) float64 { return i.shares.share(key, i.name) }, false, c.now)
	}
}

func (i *instance) tick(c *cluster) {
	since := c.now.Sub(i.ticked)
	select {
	case <-i.limits.hungry:
	default:
		if since < time.Second {
			return
		}
	}
	i.ticked = c.now
	c.log = append(c.log, logged{instance: i.name, at: c.now})
	for limit, wants := range i.limits.report(since, c.now) {
		c.log = append(c.log, logged{limit, i.name, wants, c.now})
	}
}

func (c *cluster) run(d time.Duration) {
	for end := c.now.Add(d); c.now.Before(end); {
		c.step()
	}
}

// most is the most that was let through in any minute, from a second on.
func (c *cluster) most(from float64) (most int) {
	first := 0
	for last, at := range c.starts {
		for c.starts[first] <= at-60 {
			first++
		}
		if at >= from {
			most = max(most, last-first+1)
		}
	}
	return most
}

// TestThreeInstancesShareALimit, one of them hot: at 0.9 of the limit nearly 0.9 is used, nobody waits for long, and no
// minute has more than 5 % over the limit; nor when much more is wanted, and when instances die in the middle.
func TestThreeInstancesShareALimit(t *testing.T) {
	const rpm = 600
	for seed := range uint64(3) {
		c := newCluster(seed, rpm, 7.6, 0.7, 0.7) // 9 a second, of 10
		c.run(3 * time.Minute)
		slices.Sort(c.waited)
		used := float64(len(c.starts)) / (3 * rpm)
		if p99 := c.waited[len(c.waited)*99/100]; used < 0.87 || c.most(0) > rpm*105/100 || p99 > 4*time.Second {
			t.Errorf("seed %d: used %.3f, at most %d a minute, p99 of the waits %v", seed, used, c.most(0), p99)
		}
	}
	c := newCluster(9, rpm, 30, 1, 4) // much more than there is
	c.run(time.Minute)
	c.instances[2].dead = true
	c.run(2 * time.Minute)
	c.instances[0].rate, c.instances[1].rate = 1, 20 // another one is hot
	c.run(2 * time.Minute)
	if used := float64(len(c.starts)) / (5 * rpm); used < 0.93 || c.most(0) > rpm*105/100 {
		t.Errorf("overload: used %.3f, at most %d a minute", used, c.most(0))
	}
	t.Logf("overload: used %.3f, at most %d a minute", float64(len(c.starts))/(5*rpm), c.most(0))
}

// TestIdleInstancesBeginTogether: what several of them have saved up is not used several times, and they begin within
// half a second.
func TestIdleInstancesBeginTogether(t *testing.T) {
	const rpm = 600
	c := newCluster(5, rpm, 0, 0, 0, 0)
	c.run(20 * time.Second)
	for _, i := range c.instances {
		i.rate = 30
	}
	c.run(70 * time.Second)
	var early int
	for _, at := range c.starts {
		if at < 21 {
			early++
		}
	}
	if early == 0 || early > rpm/60+rpm/25+4 || c.starts[0] > 20.5 || c.most(0) > rpm*105/100 {
		t.Errorf("%d in the first second, the first after %.2f s, at most %d a minute", early, c.starts[0]-20, c.most(0))
	}
}

// TestBlindInstancesSpendNothing: who has not read what others want waits.
func TestBlindInstancesSpendNothing(t *testing.T) {
	c := newCluster(1, 600, 5)
	i := c.instances[0]
	i.lag = time.Hour
	c.run(5 * time.Second)
	if len(c.starts) > 0 {
		t.Errorf("%d were let through", len(c.starts))
	}
	i.lag = 0
	c.run(10 * time.Second)
	if len(c.starts) == 0 {
		t.Error("nothing is let through once it can see")
	}
}
