package provider

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/pace"
)

// Instances share limits and budgets by what each of them says once a second in task-limits, and reads of the others.

const (
	// reportEvery is how often an instance speaks, hungryPause how soon again when it has something to do without a
	// share; blindAfter is how long it may read nothing until it stops to spend.
	reportEvery = time.Second
	hungryPause = 50 * time.Millisecond
	blindAfter  = 2 * time.Second
	// tellPause is how soon what a task has cost is told.
	tellPause = 20 * time.Millisecond
	// forgetAfter is when the records of instances that are gone are taken out of the topic.
	forgetAfter = time.Hour
)

// said is a record's value. Which members it has follows from its key:
//
//	alive/INSTANCE                 nothing: the instance reads and writes
//	limit/NAME/INSTANCE            wants, the part of the limit that it wants
//	budget/DAY/NAME/INSTANCE       spent, in picodollars, on that day
type said struct {
	Wants float64 `json:"wants,omitzero"`
	Spent int64   `json:"spent,omitzero"`
}

// sharing is this instance's place among those that share.
type sharing struct {
	flow     *Flow
	instance string

	mu       sync.Mutex
	shares   *shares
	spent    map[string]map[string]map[string]int64 // by day, budget and instance
	seen     map[string]time.Time                   // keys, and when their last record was written
	readAt   time.Time                              // by this process's clock
	complete bool                                   // all has been read that was there at the start
	wrote    map[string]int64                       // budgets as they were said last
}

func newSharing(f *Flow) *sharing {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	s := &sharing{flow: f, instance: hex.EncodeToString(id)}
	s.reset()
	return s
}

// reset forgets what was read: the topic is read anew.
func (s *sharing) reset() {
	s.mu.Lock()
	s.shares, s.spent, s.seen = newShares(), map[string]map[string]map[string]int64{}, map[string]time.Time{}
	s.complete, s.wrote = false, map[string]int64{}
	s.mu.Unlock()
	s.apply(time.Now())
}

// entry is a record as it is read or written; a tombstone if it has no value.
type entry struct {
	key   string
	value []byte
	at    time.Time // when the broker took it
}

// take notes what a record says. What cannot be read says nothing.
func (s *sharing) take(e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readAt = time.Now()
	cut := strings.LastIndexByte(e.key, '/')
	if cut < 0 {
		return
	}
	name, instance := e.key[:cut], e.key[cut+1:]
	s.shares.pass(instance, e.at)
	var v said
	switch {
	case e.value == nil:
		delete(s.seen, e.key)
	case json.Unmarshal(e.value, &v) != nil:
		return
	default:
		s.seen[e.key] = e.at
	}
	switch {
	case strings.HasPrefix(name, "limit/"):
		if v.Wants >= 0 && !math.IsInf(v.Wants, 0) {
			s.shares.take(name, instance, v.Wants, e.at)
		}
	case strings.HasPrefix(name, "budget/"):
		day, budget, _ := strings.Cut(strings.TrimPrefix(name, "budget/"), "/")
		if s.spent[day] == nil {
			s.spent[day] = map[string]map[string]int64{}
		}
		if s.spent[day][budget] == nil {
			s.spent[day][budget] = map[string]int64{}
		}
		s.spent[day][budget][instance] = max(v.Spent, 0)
	}
}

// apply puts what was read in force.
func (s *sharing) apply(now time.Time) {
	s.mu.Lock()
	blind := !s.complete || now.Sub(s.readAt) > blindAfter
	day := now.UTC().Truncate(24 * time.Hour)
	known, others := map[string]int64{}, map[string]int64{}
	for budget, by := range s.spent[day.Format(time.DateOnly)] {
		for instance, spent := range by {
			if instance == s.instance {
				known[budget] = spent
			} else {
				others[budget] += spent
			}
		}
	}
	s.mu.Unlock()
	s.flow.unshared.Store(blind)
	s.flow.budgets.told(day, known, others, blind)
	s.flow.limits.apply(s.share, blind, now)
}

func (s *sharing) share(key string) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shares.share(key, s.instance)
}

// current says that all has been read that was there at the start.
func (s *sharing) current() {
	s.mu.Lock()
	s.complete = true
	s.mu.Unlock()
	s.apply(time.Now())
}

// speak is what this instance has to say, and the tombstones of those that are gone.
func (s *sharing) speak(since time.Duration, now time.Time) []entry {
	entries := []entry{s.entry("alive", said{})}
	for limit, wants := range s.flow.limits.report(since, now) {
		entries = append(entries, s.entry(limit, said{Wants: wants}))
	}
	entries = append(entries, s.spendings(now, func(budget string, sum int64) bool {
		return s.spent[now.UTC().Format(time.DateOnly)][budget][s.instance] != sum // also what was said and got lost
	})...)
	day := now.UTC().Truncate(24 * time.Hour)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares.sweep()
	for key, at := range s.seen {
		if s.gone(key, at, day) && len(entries) < 2*maxReports {
			entries = append(entries, entry{key: key})
			delete(s.seen, key)
		}
	}
	for old := range s.spent {
		if old < day.AddDate(0, 0, -1).Format(time.DateOnly) {
			delete(s.spent, old)
		}
	}
	return entries
}

// spendings are the budgets of which there is something new to say.
func (s *sharing) spendings(now time.Time, isNew func(budget string, sum int64) bool) (entries []entry) {
	day, own := s.flow.budgets.ours(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	for budget, sum := range own {
		if isNew(budget, sum) {
			s.wrote[budget] = sum
			entries = append(entries, s.entry("budget/"+day.Format(time.DateOnly)+"/"+budget, said{Spent: sum}))
		}
	}
	return entries
}

// gone reports whether nobody needs a record any more.
func (s *sharing) gone(key string, at, day time.Time) bool {
	if rest, ok := strings.CutPrefix(key, "budget/"); ok {
		of, _, _ := strings.Cut(rest, "/")
		return of < day.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	return s.shares.now.Sub(at) > forgetAfter
}

func (s *sharing) entry(name string, v said) entry {
	value, err := json.Marshal(v)
	if err != nil {
		value = []byte("{}") // not reached: the numbers are finite
	}
	return entry{key: name + "/" + s.instance, value: value}
}

// beat speaks once a second, and sooner when there is work without a share or something was spent, until the context
// ends; what was spent until then it says last.
func (s *sharing) beat(ctx context.Context, write func([]entry)) {
	last := time.Now()
	defer func() { write(s.speak(time.Since(last), time.Now())) }()
	for {
		next := time.NewTimer(reportEvery - time.Since(last))
		pause := time.Duration(0)
		select {
		case <-ctx.Done():
		case <-next.C:
		case <-s.flow.limits.hungry:
			pause = hungryPause
		case <-s.flow.budgets.news:
			pause = tellPause
		}
		next.Stop()
		pace.Sleep(ctx, pause)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return
		case pause == tellPause:
			write(s.spendings(now, func(budget string, sum int64) bool { return s.wrote[budget] != sum }))
		default:
			write(s.speak(now.Sub(last), now))
			last = now
			s.apply(now)
		}
	}
}
