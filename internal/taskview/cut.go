package taskview

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/aiecs/tasklane/schemas"
)

// cutError says that a partition ends before what was read of it: its broker has
// lost the end of its log. The view is rebuilt, or it would be ahead of the log
// and miss what is written there next.
type cutError struct {
	at        topicPartition
	end, read int64
	ends      map[topicPartition]int64 // of all partitions
	replaced  bool                     // another record stands at its end
}

func (e *cutError) Error() string {
	if e.replaced {
		return fmt.Sprintf("%s/%d has another record at offset %d than was read there: "+
			"the broker has lost the end of its log",
			e.at.topic, e.at.partition, e.end)
	}
	return fmt.Sprintf("%s/%d ends at offset %d, it has been read up to %d: the broker has lost the end of its log",
		e.at.topic, e.at.partition, e.end, e.read)
}

func (e *cutError) Unwrap() error { return errRebuild }

// cutWhy is why a task is lost whose record stood behind a lane's end.
func cutWhy(topic string) string {
	return fmt.Sprintf("its record was acknowledged and is no longer in %s: the broker has lost the end of its log", topic)
}

// maxCarried bounds the lost tasks that are taken over from one file to the next.
const maxCarried = 10_000

// carried are tasks that a log has lost with its end. The log that is read again
// knows nothing of them; who was told 202 is told that they are lost.
type carried struct {
	identity map[string]string
	tasks    []found
}

// salvage keeps, of a view that is to be rebuilt because the log was cut back, the
// unfinished tasks that stood there. Of another log nothing is kept.
func (v *View) salvage(ctx context.Context, st *store, log logFound, cause error) {
	var cut *cutError
	if !errors.As(cause, &cut) {
		if errors.Is(cause, errRebuild) {
			v.carried = carried{}
			v.submitted.clear()
		}
		return
	}
	tasks, err := st.beyond(ctx, cut.ends, v.config, maxCarried)
	if err != nil {
		v.logger.Warn("task view cannot tell which tasks were lost with the end of the log", "error", err)
		return
	}
	v.carried = carried{identity: log.identity, tasks: tasks}
}

// beyond are the unfinished and lost tasks whose records stood behind the ends.
func (s *store) beyond(ctx context.Context, ends map[topicPartition]int64, c Config, limit int) ([]found, error) {
	var all []found
	for _, lane := range c.Lanes {
		for at, end := range ends {
			if at.topic != c.Topics.Lane(lane) {
				continue
			}
			rows, err := s.rows(ctx, "SELECT "+taskColumns+` FROM tasks WHERE lane = ? AND part = ? AND lane_offset >= ?
				AND status IN ('pending', 'running', 'lost') LIMIT ?`, lane, at.partition, end, limit-len(all))
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				f := found{id: r.id, task: r.task}
				if err := loadPayloads(ctx, s, &f); err != nil {
					return nil, err
				}
				all = append(all, f)
			}
		}
	}
	return all, nil
}

// restore puts the tasks that were taken over into the new file, as lost, once all
// that the log still says of them has been read.
func (l *losses) restore(ctx context.Context, log logFound) error {
	kept := l.s.view.carried
	if !maps.Equal(kept.identity, log.identity) {
		kept.tasks = nil
	}
	runs := make([]runKey, len(kept.tasks))
	for i, f := range kept.tasks {
		runs[i] = f.task.run()
	}
	waiting, err := l.waiting(ctx, runs)
	if err != nil {
		return fmt.Errorf("look for tasks that wait: %w", err)
	}
	lost := 0
	for _, f := range kept.tasks {
		why, err := l.s.restore(ctx, f, waiting[f.task.run()])
		if err != nil {
			return err
		}
		if why != "" {
			lost++
		}
	}
	l.s.view.carried = carried{}
	if lost > 0 {
		l.s.view.counters.lost.Add(int64(lost))
		l.s.view.logger.Warn("tasks are lost with the end of the log; find them with: GET /v1/tasks?status=lost", "tasks",
			lost)
	}
	return nil
}

// restore puts one of them there, unless it was sent again or something else speaks for
// it: then it is not lost, and why is "".
func (s *session) restore(ctx context.Context, f found, waits bool) (why string, err error) {
	task, err := schemas.DecodeTask(f.record)
	if err != nil {
		return "", nil // nobody would have run it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.update(ctx, f.task.run(), func(b *batch, row *row) {
		if row.task.Offset >= 0 && row.task.Status != schemas.Lost {
			return // it was sent again
		}
		if row.task.takeRecord(task, f.task.Offset, f.task.CreatedAt.Time) {
			b.keepRecord(row.id, task, f.record)
		}
		row.task.Deferred = row.task.Deferred || waits
		why = row.task.loseUnheld(cutWhy(s.view.config.Topics.Lane(f.task.Lane)), s.now())
	})
	s.toldLost(f.task.run(), why)
	return why, err
}
