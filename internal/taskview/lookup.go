package taskview

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/aiecs/tasklane/schemas"
)

// query runs f with the open database; ErrNotReady between sessions. A file that
// shows itself to be damaged there is rebuilt, as one that is damaged for the log's
// reader.
func (v *View) query(f func(*store) error) error {
	v.storeMu.RLock()
	defer v.storeMu.RUnlock()
	if v.store == nil {
		return ErrNotReady
	}
	err := damaged(f(v.store))
	if errors.Is(err, errRebuild) {
		select {
		case v.damage <- err:
		default:
		}
		return fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	return err
}

func (v *View) setStore(s *store) {
	v.storeMu.Lock()
	defer v.storeMu.Unlock()
	v.store = s
}

// Get returns a task with its own JSON and its result. Of several runs it is the
// one created last. It fails with ErrNotFound, with ErrAmbiguous if the key
// names no user and several have the id, and with ErrNotReady.
func (v *View) Get(ctx context.Context, key schemas.TaskKey) (Task, error) {
	best, err := v.lookup(ctx, key, true)
	if err != nil {
		return Task{}, err
	}
	best.task.Record, best.task.Result, best.task.Webhook = best.record, best.result, best.webhook
	return best.task, nil
}

// Find is Get of a task whose own JSON is wanted. Where that is not known yet, the view first reads up to where the
// lanes end now.
func (v *View) Find(ctx context.Context, key schemas.TaskKey) (Task, error) {
	task, err := v.Get(ctx, key)
	if errors.Is(err, ErrNotFound) || err == nil && len(task.Record) == 0 {
		if err = v.CatchUp(ctx); err == nil {
			task, err = v.Get(ctx, key)
		}
	}
	return task, err
}

// Status is where a task stands. It reads less than Get, and fails as that does.
func (v *View) Status(ctx context.Context, key schemas.TaskKey) (schemas.Status, error) {
	best, err := v.lookup(ctx, key, false)
	return best.task.Status, err
}

func (v *View) lookup(ctx context.Context, key schemas.TaskKey, payloads bool) (found, error) {
	// Memory is looked at from the newest place to the oldest, and the database
	// last: a row leaves a place only after the next one has it.
	runs := v.overlay.lookup(key)
	sent := v.submitted.lookup(key)
	var best found
	err := v.query(func(s *store) error {
		stored, err := s.runs(ctx, key)
		if err != nil {
			return err
		}
		for _, r := range stored {
			run := r.task.run()
			if _, newer := runs[run]; !newer {
				runs[run] = found{id: r.id, task: r.task}
			}
		}
		if best, err = choose(merge(runs, sent), key); err != nil {
			return err
		}
		if !payloads {
			return nil
		}
		return loadPayloads(ctx, s, &best)
	})
	if err != nil && !errors.Is(err, ErrAmbiguous) && len(runs)+len(sent) > 0 {
		// What was acknowledged or read here is known, whatever the database is
		// up to. Only the result of an ended task may be nowhere else.
		known, memErr := choose(merge(runs, sent), key)
		switch {
		case memErr != nil:
			err = memErr
		case !payloads || !known.task.Status.Terminal() || known.result != nil:
			best, err = known, nil
		}
	}
	if err != nil {
		return found{}, err
	}
	return best, nil
}

// merge adds what was submitted here and not read yet. Events of a run may have
// been read before its record; then the two are put together.
func merge(runs, sent map[runKey]found) map[runKey]found {
	for run, s := range sent {
		f, ok := runs[run]
		switch {
		case !ok:
			runs[run] = s
		case f.task.Offset < 0:
			f.task.complete(&s.task)
			f.record = s.record
			runs[run] = f
		}
	}
	return runs
}

// complete takes over what only a task's record says.
func (t *Task) complete(from *Task) {
	t.Offset, t.TaskName, t.Mode, t.Service = from.Offset, from.TaskName, from.Mode, from.Service
	t.Step, t.Priority, t.BatchID, t.RetryOf, t.Labels = from.Step, from.Priority, from.BatchID, from.RetryOf, from.Labels
	t.CreatedAt = from.CreatedAt
}

func choose(runs map[runKey]found, key schemas.TaskKey) (found, error) {
	var best found
	var user string
	for run, f := range runs {
		switch {
		case best.task.TaskID == "":
			best, user = f, run.UserID
		case run.UserID != user:
			return found{}, fmt.Errorf("%w: name the user", ErrAmbiguous)
		case f.task.newer(&best.task):
			best = f
		}
	}
	if best.task.TaskID == "" {
		return found{}, fmt.Errorf("%w: %.200s", ErrNotFound, key.TaskID)
	}
	best.task.Runs = len(runs)
	return best, nil
}

func loadPayloads(ctx context.Context, s *store, f *found) (err error) {
	if f.id == 0 { // not read from the lane yet
		return nil
	}
	if f.record == nil && f.task.Offset >= 0 {
		if f.record, err = s.payload(ctx, "records", f.id); err != nil {
			return err
		}
	}
	if f.result == nil && f.task.Status == schemas.Completed {
		if f.result, err = s.payload(ctx, "results", f.id); err != nil {
			return err
		}
	}
	// Most tasks ask for none.
	if f.task.Status.Terminal() && bytes.Contains(f.record, []byte("callback")) {
		f.webhook, err = s.webhook(ctx, f.task.run())
	}
	return err
}

// List returns tasks, the one created last first, and the cursor of the next
// page, empty on the last. The tasks come without their own JSON and without
// results. Everything that Get saw before the call is in it, unless the database
// is more than half a second behind. It fails with ErrInvalid, ErrNotReady,
// ErrTooMany, ErrBusy and, for a search, ErrSlow.
func (v *View) List(ctx context.Context, f Filter) (tasks []Task, next string, err error) {
	f.Limit = cmp.Or(f.Limit, defaultLimit)
	switch {
	case f.Limit < 1 || f.Limit > MaxListed:
		return nil, "", fmt.Errorf("%w: limit must be 1 to %d", ErrInvalid, MaxListed)
	case f.Status != "" && !f.Status.Known() && f.Status != schemas.Lost:
		return nil, "", fmt.Errorf("%w: there is no status %q", ErrInvalid, f.Status)
	case !utf8.ValidString(f.Query):
		return nil, "", fmt.Errorf("%w: the search text is not UTF-8", ErrInvalid)
	}
	err = v.asked(ctx, f, func(ctx context.Context) error {
		v.settle(ctx)
		return v.query(func(s *store) error {
			tasks, next, err = s.list(ctx, f)
			return err
		})
	})
	return tasks, next, err
}

// Batch is how many tasks of a user's batch have which status. It fails with ErrNotReady, ErrTooMany and ErrBusy.
func (v *View) Batch(ctx context.Context, userID, batchID string) (counts map[schemas.Status]int, err error) {
	err = v.asked(ctx, Filter{UserID: userID}, func(ctx context.Context) error {
		v.settle(ctx)
		return v.query(func(s *store) error {
			counts, err = s.batch(ctx, userID, batchID)
			return err
		})
	})
	return counts, err
}

// Events returns a task's events in the order of the log, at most limit of them
// (100 if zero), after the position that an earlier page ended with. It does not
// say whether there is such a task. It fails with ErrInvalid, ErrNotReady,
// ErrTooMany and ErrBusy.
func (v *View) Events(ctx context.Context, key schemas.TaskKey, after string, limit int) (h History, err error) {
	limit = cmp.Or(limit, defaultLimit)
	if limit < 1 || limit > MaxListed {
		return History{}, fmt.Errorf("%w: limit must be 1 to %d", ErrInvalid, MaxListed)
	}
	from, err := parsePlace(after)
	if err != nil {
		return History{}, err
	}
	err = v.asked(ctx, Filter{UserID: key.UserID}, func(ctx context.Context) error {
		v.settle(ctx)
		return v.query(func(s *store) error {
			h, err = s.events(ctx, key, from, limit)
			return err
		})
	})
	return h, err
}

// settle waits, for a bounded time, until the database has what this process
// has submitted and what has been read.
func (v *View) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for shard, offset := range v.submitted.last() {
		if v.positions.wait(ctx, topicPartition{v.config.Topics.Lane(shard.lane), shard.partition}, offset) != nil {
			return
		}
	}
	done := v.overlay.pending()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// EachUnfinished visits the tasks that have not ended, as they stand on their lanes, whose JSON has a text
// in it: all that stood on the lanes when it was called. The record must not be kept. It fails with
// ErrNotReady, and where the database does.
func (v *View) EachUnfinished(ctx context.Context, containing string, visit func(user string, record []byte)) error {
	if err := v.CatchUp(ctx); err != nil {
		return err
	}
	if done := v.overlay.pending(); done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("wait for the task view to be written: %w", ctx.Err())
		}
	}
	return v.query(func(s *store) error { return s.eachUnfinished(ctx, containing, visit) })
}

func (s *store) eachUnfinished(ctx context.Context, containing string, visit func(user string, record []byte)) error {
	rows, err := s.checks.QueryContext(ctx, `SELECT t.user_id, r.data, r.sum FROM tasks t JOIN records r ON r.id = t.id
		WHERE t.status IN (?, ?) AND instr(r.data, CAST(? AS BLOB)) > 0`,
		string(schemas.Pending), string(schemas.Running), containing)
	if err != nil {
		return damaged(fmt.Errorf("read unfinished tasks: %w", err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var user string
		var record []byte
		var sum int64
		if err := rows.Scan(&user, &record, &sum); err != nil {
			return damaged(fmt.Errorf("read unfinished tasks: %w", err))
		}
		if err := checkSum(record, sum); err != nil {
			return err
		}
		visit(user, record)
	}
	if err := rows.Err(); err != nil {
		return damaged(fmt.Errorf("read unfinished tasks: %w", err))
	}
	return nil
}
