package taskview

import (
	"container/list"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/schemas"
)

// Submission is a task that this process has produced and the broker has
// acknowledged.
type Submission struct {
	Task *schemas.Task
	// Record is the task's wire form. The view keeps a reference.
	Record   []byte
	Position cursor.TaskPosition
	At       time.Time
}

// submitted are tasks acknowledged here and not read from the lane yet, so that
// who has just been told 202 finds the task. Bounded in count and bytes: the
// oldest go first, and are found by catching up instead.
type submitted struct {
	mu    sync.Mutex
	byRun map[runKey]*list.Element
	byID  map[string]map[runKey]*list.Element
	order list.List // of *submission, oldest first
	bytes int
}

type submission struct {
	run    runKey
	offset int64
	found  found
	added  time.Time
}

func newSubmitted() *submitted {
	return &submitted{byRun: map[runKey]*list.Element{}, byID: map[string]map[runKey]*list.Element{}}
}

// add remembers a submission unless done says that its record has been read.
// That is asked under the lock: the reader removes under it after moving on, so
// one of the two sees the other.
func (s *submitted) add(sub Submission, done func() bool) {
	run := runKey{
		TaskKey: sub.Task.Key(),
		lane:    sub.Position.Lane, partition: sub.Position.Partition,
	}
	task := newTask(run)
	task.takeRecord(sub.Task, sub.Position.Offset, sub.At)
	entry := &submission{
		run: run, offset: sub.Position.Offset, found: found{task: task, record: sub.Record}, added: time.Now(),
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.byRun[run]; known || done() {
		return
	}
	element := s.order.PushBack(entry)
	s.byRun[run] = element
	if s.byID[run.TaskID] == nil {
		s.byID[run.TaskID] = map[runKey]*list.Element{}
	}
	s.byID[run.TaskID][run] = element
	s.bytes += len(sub.Record)
	for s.order.Len() > maxSubmitted || s.bytes > maxSubmittedBytes {
		s.drop(s.order.Front())
	}
}

// passed forgets the run's submission if it stands at or before the offset.
func (s *submitted) passed(run runKey, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byRun[run]; e != nil && e.Value.(*submission).offset <= offset {
		s.drop(e)
	}
}

func (s *submitted) drop(e *list.Element) {
	entry := s.order.Remove(e).(*submission)
	s.bytes -= len(entry.found.record)
	delete(s.byRun, entry.run)
	delete(s.byID[entry.run.TaskID], entry.run)
	if len(s.byID[entry.run.TaskID]) == 0 {
		delete(s.byID, entry.run.TaskID)
	}
}

// lookup returns the remembered runs of an identity, or of all users with the
// task id if the user is empty.
func (s *submitted) lookup(key schemas.TaskKey) map[runKey]found {
	s.mu.Lock()
	defer s.mu.Unlock()
	runs := map[runKey]found{}
	for run, e := range s.byID[key.TaskID] {
		if (key.UserID == "" || key.UserID == run.UserID) && len(runs) < maxRunsShown {
			runs[run] = e.Value.(*submission).found
		}
	}
	return runs
}

// all are the remembered submissions, the oldest first.
func (s *submitted) all() []*submission {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*submission, 0, s.order.Len())
	for e := s.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*submission))
	}
	return all
}

// clear forgets everything: it was acknowledged by another log.
func (s *submitted) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.order.Len() > 0 {
		s.drop(s.order.Front())
	}
}

// last is the newest remembered position of every lane partition.
func (s *submitted) last() map[runKey]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[runKey]int64{}
	for e := s.order.Back(); e != nil; e = e.Prev() {
		entry := e.Value.(*submission)
		shard := runKey{lane: entry.run.lane, partition: entry.run.partition}
		last[shard] = max(last[shard], entry.offset)
	}
	return last
}
