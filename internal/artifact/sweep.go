package artifact

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// Named calls visit with the users and hashes of all artifacts that unfinished tasks name: theirs are
// kept. An error leaves everything be.
type Named func(ctx context.Context, visit func(user, hash string)) error

// Run counts what is stored and removes what has expired, at once and then at every
// Config.SweepEvery, until ctx ends. Where named is nil it removes only what a process that was killed has
// left behind here.
func (s *Store) Run(ctx context.Context, named Named) error {
	pass := func() {
		s.clearDrafts()
		if named == nil {
			return
		}
		if err := s.sweep(ctx, named); err != nil && ctx.Err() == nil {
			s.meters.errors.Inc()
			s.config.Logger.Warn("expired artifacts could not all be removed; it is tried again", "error", err,
				"in", s.config.SweepEvery)
		}
	}
	pass()
	pace.Every(ctx, s.config.SweepEvery, pass)
	return nil
}

// sweepPass is one walk through all that is stored.
type sweepPass struct {
	store   *Store
	now     time.Time
	counted tally
	// expired are grants that can go if no unfinished task names their file.
	expired map[useKey][]grant
	found   int
}

// useKey is a user, as in keys, and a hash.
type useKey struct{ user, hash string }

// sweep removes grants that have expired, marks files that nobody has, and removes those that were
// marked long enough ago. One pass removes a bounded number of grants; the next goes on.
func (s *Store) sweep(ctx context.Context, named Named) error {
	p := &sweepPass{store: s, now: s.config.now(), counted: newTally(), expired: map[useKey][]grant{}}
	s.usage.beginCount()
	var failed error
	for shard := range 256 {
		if failed = p.shard(ctx, fmt.Sprintf("%02x/", shard)); failed != nil {
			s.usage.endCount(nil)
			return failed
		}
	}
	s.usage.endCount(&p.counted)
	if err := s.removeRecords(ctx); err != nil {
		return err
	}
	return p.removeExpired(ctx, named)
}

// shard looks at the files whose hash begins alike.
func (p *sweepPass) shard(ctx context.Context, of string) error {
	granted, err := p.store.bucket.List(ctx, grants+of)
	if err != nil {
		return err
	}
	stored, err := p.store.bucket.List(ctx, blobs+of)
	if err != nil {
		return err
	}
	sizes := map[string]int64{}
	for _, o := range stored {
		if hash, ok := hashOf(o.key); ok && !strings.HasSuffix(o.key, doomed) {
			sizes[hash] = o.size
			p.counted.total += o.size
			p.counted.files++
		}
	}
	used := map[string]bool{} // HASH/GENERATION
	var before useKey
	for _, o := range granted {
		g, ok := parseGrant(o.key)
		if !ok {
			continue
		}
		used[g.hash+"/"+g.generation] = true
		use := useKey{g.user, g.hash}
		if use != before { // they come in the order of keys
			p.counted.users[g.user] += sizes[g.hash]
		}
		before = use
		if p.now.After(g.expires.Add(p.store.config.grace())) && p.found < maxSwept {
			p.found++
			p.expired[use] = append(p.expired[use], g)
		}
	}
	marks := map[string]object{}
	for _, o := range stored {
		if strings.HasSuffix(o.key, doomed) {
			marks[strings.TrimSuffix(o.key, doomed)] = o
		}
	}
	for _, o := range stored {
		if strings.HasSuffix(o.key, doomed) {
			continue
		}
		if err := p.blob(ctx, o, marks, used); err != nil {
			return err
		}
		delete(marks, o.key)
	}
	for _, mark := range marks { // of files that are gone
		if p.old(mark, 1) {
			if err := p.store.bucket.Delete(ctx, mark.key); err != nil {
				return err
			}
		}
	}
	return nil
}

// blob marks a file that no grant names, or removes it.
func (p *sweepPass) blob(ctx context.Context, o object, marks map[string]object, used map[string]bool) error {
	hash, ok := hashOf(o.key)
	if !ok || used[hash+"/"+generationOf(o.key)] {
		return nil
	}
	mark, marked := marks[o.key]
	switch {
	case !marked && p.old(o, 2):
		return p.store.putBytes(ctx, o.key+doomed, []byte("doomed"))
	case marked && p.old(mark, 1):
		return p.remove(ctx, hash, o, mark)
	}
	return nil
}

// remove removes a file that was marked, unless a grant that was written meanwhile names it.
func (p *sweepPass) remove(ctx context.Context, hash string, o, mark object) error {
	granted, err := p.store.bucket.List(ctx, grantsOf(hash))
	if err != nil {
		return err
	}
	for _, one := range granted {
		if g, ok := parseGrant(one.key); ok && g.generation == generationOf(o.key) {
			return nil
		}
	}
	if err := p.store.bucket.Delete(ctx, o.key); err != nil {
		return err
	}
	p.counted.add("", 0, -o.size)
	p.counted.files--
	p.store.meters.removed.Inc()
	return p.store.bucket.Delete(ctx, mark.key)
}

// old reports whether an object was written that many times the grace ago.
func (p *sweepPass) old(o object, times int) bool {
	return p.now.Sub(o.modified) > time.Duration(times)*p.store.config.grace()
}

// removeExpired removes grants that have expired and that no unfinished task needs.
func (p *sweepPass) removeExpired(ctx context.Context, named Named) error {
	if len(p.expired) == 0 {
		return nil
	}
	err := named(ctx, func(user, hash string) {
		delete(p.expired, useKey{userKey(user), hash})
		delete(p.expired, useKey{everybody, hash})
	})
	if err != nil {
		return fmt.Errorf("look for tasks that name artifacts: %w", err)
	}
	for _, all := range p.expired {
		for _, g := range all {
			if err := p.store.bucket.Delete(ctx, g.key); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			p.store.meters.expired.Inc()
		}
	}
	return nil
}

// hashOf is the hash in the key of a file or a mark.
func hashOf(key string) (string, bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 || !IsHash(parts[2]) {
		return "", false
	}
	return parts[2], true
}
