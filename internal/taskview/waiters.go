package taskview

import (
	"slices"
	"sync"

	"github.com/aiecs/tasklane/schemas"
)

// outcome is what became of a task that was waited for.
type outcome struct {
	result schemas.Result
	err    error // [LostError]
}

// waiters are the callers of Wait by the identity they wait for.
type waiters struct {
	mu    sync.Mutex
	count int
	byKey map[schemas.TaskKey][]chan outcome // capacity 1 each
}

func newWaiters() *waiters { return &waiters{byKey: map[schemas.TaskKey][]chan outcome{}} }

// add registers a caller; false if there are too many.
func (w *waiters) add(key schemas.TaskKey) (chan outcome, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= maxWaiters {
		return nil, false
	}
	w.count++
	c := make(chan outcome, 1)
	w.byKey[key] = append(w.byKey[key], c)
	return c, true
}

// remove forgets a caller that was added.
func (w *waiters) remove(key schemas.TaskKey, c chan outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count--
	rest := slices.DeleteFunc(w.byKey[key], func(other chan outcome) bool { return other == c })
	if len(rest) == 0 {
		delete(w.byKey, key)
		return
	}
	w.byKey[key] = rest
}

// waiting is how many callers wait.
func (w *waiters) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// wake gives the outcome to all who wait for the identity. A channel that holds
// one already belongs to a caller about to leave.
func (w *waiters) wake(key schemas.TaskKey, ended outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.byKey[key] {
		select {
		case c <- ended:
		default:
		}
	}
}
