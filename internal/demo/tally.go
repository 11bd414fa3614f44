package demo

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// tally counts the events of the demo's tasks. It is safe for concurrent use.
type tally struct {
	// immutable
	jobs  map[string]job // by task id
	total map[string]int // tasks by lane
	own   map[string]int // tasks by user

	mu      sync.Mutex
	results map[string]outcome // of ended tasks
	done    map[string]int     // ended tasks by lane
	doneOf  map[string]int     // ended tasks by user
	events  int
	wrong   []string
}

// outcome is what a task came to.
type outcome struct {
	status    schemas.Status
	language  string
	sentiment string
}

func newTally(jobs []job) *tally {
	t := &tally{
		jobs: make(map[string]job, len(jobs)), total: make(map[string]int), own: make(map[string]int),
		results: make(map[string]outcome, len(jobs)), done: make(map[string]int), doneOf: make(map[string]int),
	}
	for _, j := range jobs {
		t.jobs[j.id] = j
		t.total[j.lane]++
		t.own[j.review.User]++
	}
	return t
}

func (t *tally) users() []string { return slices.Sorted(maps.Keys(t.own)) }

// take counts an event and reports whether all tasks of its user have ended.
func (t *tally) take(e *schemas.Event) (allEnded bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events++
	j, known := t.jobs[e.TaskID]
	switch {
	case !known || e.UserID != j.review.User:
		t.wrong = append(t.wrong, fmt.Sprintf("an event of task %s came to %s, whose task it is not", e.TaskID, e.UserID))
		return false
	case e.Terminal():
		t.end(j, e)
	}
	return t.doneOf[e.UserID] == t.own[e.UserID]
}

func (t *tally) end(j job, e *schemas.Event) {
	if _, twice := t.results[j.id]; twice {
		t.wrong = append(t.wrong, fmt.Sprintf("task %s has ended twice", j.id))
		return
	}
	t.results[j.id] = t.read(j, e)
	t.done[j.lane]++
	t.doneOf[j.review.User]++
}

// read takes the answer out of a result.
func (t *tally) read(j job, e *schemas.Event) outcome {
	o := outcome{status: e.Status}
	if e.Status != schemas.Completed {
		t.wrong = append(t.wrong, fmt.Sprintf("task %s: %s: %s", j.id, e.Status, e.Error))
		return o
	}
	var answer struct {
		Language  string `json:"language"`
		Sentiment struct {
			Label string `json:"label"`
		} `json:"sentiment"`
	}
	if err := json.Unmarshal(e.Result, &answer); err != nil {
		t.wrong = append(t.wrong, fmt.Sprintf("task %s: read result: %v", j.id, err))
		return o
	}
	o.language, o.sentiment = answer.Language, answer.Sentiment.Label
	missing := j.lane == schemas.LaneFast && o.language == "" || j.lane == schemas.LaneHeavy && o.sentiment == ""
	if missing {
		t.wrong = append(t.wrong, fmt.Sprintf("task %s: its result has no answer: %.100s", j.id, e.Result))
	}
	return o
}

// laneCount is how many of a lane's tasks have ended, and how many there are.
func (t *tally) laneCount(lane string) (done, total int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done[lane], t.total[lane]
}

func (t *tally) ended() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.results)
}

func (t *tally) lanes() []string { return slices.Sorted(maps.Keys(t.total)) }

// problems is an error that names what failed or is missing, nil if nothing.
func (t *tally) problems() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 10
	var all []error
	for _, problem := range t.wrong[:min(len(t.wrong), most)] {
		all = append(all, errors.New(problem))
	}
	if more := len(t.wrong) - most; more > 0 {
		all = append(all, fmt.Errorf("and %d more", more))
	}
	if missing := len(t.jobs) - len(t.results); missing > 0 {
		all = append(all, fmt.Errorf("%d of %d tasks have no terminal event", missing, len(t.jobs)))
	}
	return errors.Join(all...)
}
