package webhooks

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// errTaskGone is why a delivery is a dead letter at once.
var errTaskGone = errors.New("the task's record is gone from its lane, and from tasks.scheduled, so its " +
	"callback_url is not known for sure")

// ask is a terminal event that counts and says that its task has a callback. Where
// that goes to is in the task's own record: whoever can write an event can write any
// header, and what is posted has our signature.
type candidate struct {
	partition int32
	id        string // the event's
	userID    string
	taskID    string
	offset    int64 // of the event
	value     []byte
	// lane is where the task's record stands on its lane, waited where it stood last
	// in tasks.scheduled; the zero place if it never did.
	lane, waited schemas.Place
}

// candidateEvent is what an event says of itself, as far as deliveries go.
type candidateEvent struct {
	EventID string          `json:"event_id"`
	TaskID  string          `json:"task_id"`
	UserID  string          `json:"user_id"`
	Kind    schemas.Kind    `json:"kind"`
	Status  schemas.Status  `json:"status"`
	Source  *schemas.Source `json:"source"`
}

// readCandidate reads an event with a callback. The problem is "" if it is what its stamp,
// key and partition say that it is.
func readCandidate(topics schemas.Topics, partition int32, e *event) (a candidate, problem string) {
	var says candidateEvent
	if err := json.Unmarshal(e.value, &says); err != nil {
		return candidate{}, "it is no event"
	}
	shard, err := fold.ParseShardID(e.stamp.Shard)
	switch {
	case err != nil || shard.Partition != partition:
		return candidate{}, "it is in another partition than its shard"
	case says.Kind != schemas.KindState || !says.Status.Terminal():
		return candidate{}, "it does not end its task"
	case says.EventID != e.stamp.EventID():
		return candidate{}, "its event_id is not that of its headers"
	case says.UserID != e.user:
		return candidate{}, "its user_id is not its key"
	case says.Source == nil || says.Source.Topic != topics.Lane(shard.Lane) || says.Source.Partition != partition:
		return candidate{}, "its source is not its shard's lane"
	}
	a = candidate{
		partition: partition, id: says.EventID, userID: says.UserID, taskID: says.TaskID, offset: e.offset,
		value: e.value,
		lane:  says.Source.Place(),
	}
	if says.Source.Wait != "" && says.Source.WaitOffset > 0 {
		a.waited = schemas.Place{Topic: topics.Scheduled(), Partition: partition, Offset: says.Source.WaitOffset}
	}
	return a, ""
}

// callback is where the task whose record this is has its end posted to. Mine is
// false for the record of another task, or of none.
func (a *candidate) callback(record []byte) (url string, mine bool) {
	task, err := schemas.DecodeTask(record)
	if invalid := (*schemas.InvalidTaskError)(nil); errors.As(err, &invalid) {
		task = invalid.Task
	}
	if task == nil || task.UserID != a.userID || task.TaskID != a.taskID {
		return "", false
	}
	return task.CallbackURL, true
}

// resolve makes the deliveries that are asked for, with the URLs of the tasks. What
// cannot be found any more becomes a dead letter.
func (m *membership) resolve(ctx context.Context, candidates []candidate) ([]entry, error) {
	if len(candidates) == 0 {
		return nil, nil
	}
	lanes := make([]schemas.Place, 0, len(candidates))
	for i := range candidates {
		lanes = append(lanes, candidates[i].lane)
	}
	found, err := m.tasks.values(ctx, lanes)
	if err != nil {
		return nil, err
	}
	var missed []*candidate
	var entries []entry
	for i := range candidates {
		if e, done := m.deliver(&candidates[i], found[candidates[i].lane]); !done {
			missed = append(missed, &candidates[i])
		} else if e != nil {
			entries = append(entries, *e)
		}
	}
	if len(missed) == 0 {
		return entries, nil
	}
	more, err := m.searchWaiting(ctx, missed)
	return append(entries, more...), err
}

// searchWaiting looks in tasks.scheduled for tasks whose lane record is gone.
func (m *membership) searchWaiting(ctx context.Context, candidates []*candidate) (entries []entry, err error) {
	var places []schemas.Place
	for _, a := range candidates {
		if a.waited != (schemas.Place{}) {
			places = append(places, a.waited)
		}
	}
	found, err := m.tasks.values(ctx, places)
	if err != nil {
		return nil, err
	}
	for _, a := range candidates {
		e, done := m.deliver(a, found[a.waited])
		switch {
		case !done:
			m.dispatcher.metrics.unconfirmed.Inc()
			m.dispatcher.log.Warn("a webhook is a dead letter, because nobody knows any more where it goes to",
				"delivery", a.id, "partition", a.partition, "offset", a.offset, "task_id", a.taskID)
			e := entry{partition: a.partition, id: a.id, user: a.userID, body: a.value}
			of := schemas.Place{Topic: m.cfg.Topics.Events(), Partition: a.partition, Offset: a.offset}
			if err := m.deliveryLog.writeDeadLetter(ctx, &e, of, errTaskGone.Error(), 0); err != nil {
				return nil, err
			}
		case e != nil:
			entries = append(entries, *e)
		}
	}
	return entries, nil
}

// deliver is the delivery by a record that was found, nil if the task does not want
// any; false if the record is not the task's.
func (m *membership) deliver(a *candidate, record []byte) (*entry, bool) {
	if record == nil {
		return nil, false
	}
	url, mine := a.callback(record)
	if !mine {
		return nil, false
	}
	problem := schemas.CheckCallbackURL(url)
	if url == "" || problem != "" {
		m.dispatcher.metrics.unconfirmed.Inc()
		m.dispatcher.log.Error("an event says that its task has a callback_url, and the task has none that can be posted "+
			"to: the event is forged, and nothing is posted",
			"event", a.id, "partition", a.partition, "offset", a.offset, "task_id", a.taskID, "problem", problem)
		return nil, true
	}
	now := time.Now()
	return &entry{partition: a.partition, id: a.id, user: a.userID, url: strings.Clone(url), created: now, due: now,
		body: slices.Clone(a.value)}, true
}
