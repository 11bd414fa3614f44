package taskview

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/pace"
)

// session is one stretch of following the log with one client and one open
// database. Its reader owns fold, shards and nextID.
type session struct {
	view   *View
	log    *logClient
	store  *store
	fold   *journal.Fold
	shards map[string]int32 // the partition each shard's records belong in, -1 for none
	nextID int64
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
	log, err := newLogClient(v.config)
	if err != nil {
		return err
	}
	defer log.close()
	point, err := st.load(ctx)
	if err != nil {
		return err
	}
	found, err := log.await(ctx, v.logger)
	if err != nil {
		return err
	}
	next, err := log.resume(ctx, found, point)
	if err != nil {
		return err
	}
	if err := st.bind(ctx, found.identity); err != nil {
		return err
	}
	v.setStore(st)
	v.positions.reset(next)
	log.consume(next)
	s := &session{
		view: v, log: log, store: st, nextID: point.nextID,
		fold: journal.NewFold(point.folds), shards: map[string]int32{},
	}
	return s.run(ctx)
}

func (s *session) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.read(ctx) })
	g.Go(func() error { return s.commit(ctx) })
	g.Go(func() error { return s.view.catchUps.serve(ctx, s.log) })
	g.Go(func() error {
		if err := s.view.reachEnds(ctx, s.log); err != nil {
			return err
		}
		s.view.readyOnce.Do(func() { close(s.view.ready) })
		return nil
	})
	return g.Wait()
}

// reachEnds waits until everything that is in the log now has been read.
func (v *View) reachEnds(ctx context.Context, log *logClient) error {
	ends, err := log.ends(ctx, true)
	for err != nil {
		v.logger.Warn("task view cannot list offsets, it tries again", "error", err)
		if !pace.Sleep(ctx, time.Second) {
			return context.Cause(ctx)
		}
		ends, err = log.ends(ctx, true)
	}
	for at, end := range ends {
		if err := v.positions.wait(ctx, at, end-1); err != nil {
			return err
		}
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
