package taskview

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/fold"
)

// session is one stretch of following the log with one client and one open
// database. Its reader owns fold, shards and nextID.
type session struct {
	view  *View
	log   *logClient
	store *store
	fold  *fold.Fold

	// mu is held while a record is applied, and by whoever else changes rows: of
	// two who look a row up at once the second would not see the first's change.
	mu     sync.Mutex
	shards map[string]int32 // the partition each shard's records belong in, -1 for none
	nextID int64
	marks  *marks
	// known are the positions whose last record is read once more, to see whether it is
	// the same.
	known map[topicPartition]position
}

// session opens the database and the client, and follows the log until ctx ends
// or something fails.
func (v *View) session(ctx context.Context) error {
	st, err := openStore(ctx, v.config.Dir)
	if err != nil {
		return err
	}
	defer func() {
		v.setStore(nil)
		v.overlay.abandon()
		st.close()
	}()
	log, err := newLogClient(v.config, v.positions.places, &v.health)
	if err != nil {
		return err
	}
	defer log.Close()
	point, err := st.load(ctx)
	if err != nil {
		return err
	}
	if err := log.Await(ctx); err != nil {
		return err
	}
	found := log.found()
	next, known, err := log.resume(ctx, found, point)
	if err != nil {
		v.salvage(ctx, st, found, err)
		return err
	}
	if err := st.bind(ctx, found.identity); err != nil {
		return err
	}
	v.setStore(st)
	v.positions.reset(next)
	name := uint32(cursor.NameLog(log.TopicID(v.config.Topics.Events())))
	if before := v.log.Swap(name); before != name {
		v.watches.each(func(w *Watch) { w.fail(fmt.Errorf("%w: the log is another", ErrNotReady)) })
	}
	v.watches.each(func(w *Watch) { w.fallBehind(); signal(w.woken) })
	s := &session{
		view: v, log: log, store: st, nextID: point.nextID,
		fold: fold.New(point.folds), shards: map[string]int32{}, marks: newMarks(), known: known,
	}
	places := v.positions.places()
	for at := range known {
		places[at.topic][at.partition]--
	}
	log.Begin(places)
	err = log.Follow(ctx, func(ctx context.Context) error { return s.run(ctx, found, point.next) })
	if cut := (*cutError)(nil); errors.As(err, &cut) {
		v.salvage(ctx, st, found, err)
	}
	return err
}

func (s *session) run(ctx context.Context, log logFound, from map[topicPartition]position) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.read(ctx) })
	g.Go(func() error { return s.followDeadLetters(ctx, from) })
	g.Go(func() error { return s.inspect(ctx) })
	g.Go(func() error { return s.commit(ctx) })
	g.Go(func() error { return s.view.catchUps.serve(ctx, s.log.laneEnds) })
	g.Go(func() error {
		if err := s.view.reachEnds(ctx, s.log); err != nil {
			return err
		}
		losses := newLosses(s, s.log)
		if err := losses.restore(ctx, log); err != nil {
			return err
		}
		s.view.readyOnce.Do(func() {
			s.view.presence.caughtUp(time.Now())
			close(s.view.ready)
		})
		return losses.watch(ctx)
	})
	return g.Wait()
}

// reachEnds waits until everything that is in the log now has been read.
func (v *View) reachEnds(ctx context.Context, log *logClient) error {
	listed, err := log.AwaitEnds(ctx, log.topics()...)
	if err != nil {
		return err
	}
	ends := byPartition(listed)
	if err := v.positions.waitAll(ctx, ends); err != nil {
		return err
	}
	v.logger.Info("task view has caught up", "partitions", len(ends))
	return nil
}

// commit writes what the reader has read, a batch as soon as the one before is
// done: at once when there is little to do, in large ones when there is much.
// It also deletes what is past its retention, a little at a time.
func (s *session) commit(ctx context.Context) error {
	o := s.view.overlay
	retention := time.NewTicker(time.Minute)
	defer retention.Stop()
	retain := make(chan struct{}, 1)
	signal(retain)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-o.kick:
			if b := o.freeze(); b != nil {
				if err := s.persist(ctx, b); err != nil {
					return err
				}
				o.committed()
			}
		case <-retention.C:
			signal(retain)
		case <-retain:
			c := s.view.config
			more, err := s.store.retain(ctx, c.Now().Add(-c.Retention))
			if err != nil {
				return fmt.Errorf("delete ended tasks: %w", err)
			}
			if more {
				signal(retain)
			}
		}
	}
}
