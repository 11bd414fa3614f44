package webhooks

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// errRewound ends a membership whose commits were put back.
var errRewound = errors.New("the group's commit was not of the log that is there; it is read from its start")

// examine holds a commit against the logs that it is about. The broker may have lost
// what it had acknowledged, somebody may have set the group's offset or made a topic
// anew, or forged the commit: then "everything before is done" is not true, and what
// is written to those offsets now would never be posted. Why is "" for a commit
// that can be right; start is where the events begin.
func (l *deliveryLog) examine(ctx context.Context, partition int32, m *checkpoint) (why string, start int64,
	err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	logs, err := l.logs(ctx)
	if err != nil {
		return "", 0, err
	}
	start, end, err := l.bounds(ctx, l.topics.Events(), partition)
	if err != nil {
		return "", 0, err
	}
	_, written, err := l.bounds(ctx, l.topics.Webhooks(), partition)
	if err != nil {
		return "", 0, err
	}
	switch {
	case m.logs != "" && m.logs != logs:
		why = "task-events or task-webhooks was made anew"
	case m.position > end:
		why = fmt.Sprintf("the commit is at %d and task-events ends at %d", m.position, end)
	case m.floor > written:
		why = fmt.Sprintf("the commit knows task-webhooks up to %d and it ends at %d", m.floor, written)
	default:
		why, err = l.anchored(ctx, partition, m, start, end)
	}
	m.logs = logs
	return why, start, err
}

// anchored looks at the event before the commit's position: whether it is the one
// that was read then, and whether the fold can have come to these states by then.
func (l *deliveryLog) anchored(ctx context.Context, partition int32, m *checkpoint, start, end int64) (why string,
	err error) {
	if m.position == 0 && len(m.states) == 0 {
		return "", nil // there is no commit
	}
	if start == end {
		m.states = nil // nothing is there that could say whether they are right
		return "", nil
	}
	near := max(m.position-1, start)
	tasks, err := newTasks(l.cfg)
	if err != nil {
		return "", err
	}
	defer tasks.close()
	at := schemas.Place{Topic: l.topics.Events(), Partition: partition, Offset: near}
	found, err := tasks.find(ctx, []schemas.Place{at})
	if err != nil || found[at] == nil {
		return "", err
	}
	taken := found[at].Timestamp
	if m.anchor > 0 && near == m.position-1 && taken.UnixMilli() != m.anchor {
		return fmt.Sprintf("the event at %d is not the one that was read there", near), nil
	}
	for lane, state := range m.states {
		if state.Epoch > taken.Add(fold.Margin).UnixMilli() {
			return fmt.Sprintf("the commit names epoch %d of lane %s, which lies beyond the broker's clock", state.Epoch, lane),
				nil
		}
	}
	return "", nil
}

// logs names the topics as they are now: one that was made anew has another name.
func (l *deliveryLog) logs(ctx context.Context) (string, error) {
	topics, err := l.admin.ListTopics(ctx, l.topics.Events(), l.topics.Webhooks())
	if err != nil {
		return "", fmt.Errorf("describe topics: %w", err)
	}
	name := ""
	for _, topic := range []string{l.topics.Events(), l.topics.Webhooks()} {
		id := topics[topic].ID
		if id == (kadm.TopicID{}) {
			return "", nil // the broker gives none
		}
		name += base64.RawURLEncoding.EncodeToString(id[:])
	}
	return name, nil
}
