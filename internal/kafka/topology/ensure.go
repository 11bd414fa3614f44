package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// createTimeout bounds the creation of topics and the wait for their leaders.
const createTimeout = 30 * time.Second

// Ensure creates the topics that are missing and checks those that exist. Of these only message.timestamp.type is
// changed, see stampByBroker. When it returns nil every partition of every topic has a leader that serves it. Several
// processes may call it at the same time.
//
// Rights to create topics are needed only if one is missing, those to describe
// and alter their options not at all (a warning says what could not be done).
//
// The error wraps [kafka.ErrUnreachable] if no broker answers, and is a *UnusableError if
// a topic exists and cannot be used as it is: then the Report is still complete.
func Ensure(ctx context.Context, cl *kgo.Client, t Spec) (Report, error) {
	if err := t.Validate(); err != nil {
		return Report{}, fmt.Errorf("check topology: %w", err)
	}
	if err := kafka.Reach(ctx, cl, nil); err != nil {
		return Report{}, err
	}
	e := ensurer{
		adm: kadm.NewClient(cl), cl: cl, specs: t.specs(),
		created: make(map[string]bool), stamped: make(map[string]bool), refused: make(map[string]error),
		hidden: make(map[string]bool),
	}
	if err := checkVersions(ctx, e.adm); err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	found, err := e.list(ctx)
	if err != nil {
		return Report{}, err
	}
	if err := e.settleCounts(t.Partitions, found); err != nil {
		return e.report(found, nil), err
	}
	if err := e.createMissing(ctx, found, t.ReplicationFactor); err != nil {
		return Report{}, err
	}
	if found, err = e.waitLeaders(ctx); err != nil {
		return Report{}, err
	}
	options, err := e.describe(ctx)
	if err != nil {
		return Report{}, err
	}
	e.stampByBroker(ctx, options)
	// Another process may have created them meanwhile, with another count.
	bad := append(e.countProblems(found), e.checkOptions(options)...)
	report := e.report(found, options)
	report.Warnings = append(report.Warnings, e.neighbours(ctx, t.Topics)...)
	return report, problems(bad)
}

// ensurer holds what one call of Ensure knows.
type ensurer struct {
	adm     *kadm.Client
	cl      *kgo.Client
	specs   []topicSpec // with their partition counts once these are settled
	created map[string]bool
	stamped map[string]bool  // got the broker's time by this call
	refused map[string]error // why a topic could not be given it
	hidden  map[string]bool  // may not be described
}

// names are those of all topics.
func (e *ensurer) names() []string {
	out := make([]string, len(e.specs))
	for i, s := range e.specs {
		out[i] = s.name
	}
	return out
}

// visible are the names of those that this client may describe.
func (e *ensurer) visible() []string {
	return slices.DeleteFunc(e.names(), func(name string) bool { return e.hidden[name] })
}

// list asks for the topics; those that do not exist are left out, and those that this client may not describe.
func (e *ensurer) list(ctx context.Context) (kadm.TopicDetails, error) {
	found, err := e.listVisible(ctx)
	if errors.Is(err, kerr.TopicAuthorizationFailed) { // one is enough for no answer at all
		if err = e.hide(ctx); err == nil {
			found, err = e.listVisible(ctx)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for name, detail := range found {
		if errors.Is(detail.Err, kerr.UnknownTopicOrPartition) {
			delete(found, name)
		}
	}
	return found, nil
}

func (e *ensurer) listVisible(ctx context.Context) (kadm.TopicDetails, error) {
	names := e.visible()
	if len(names) == 0 {
		return kadm.TopicDetails{}, nil // no name would ask for all there are
	}
	return e.adm.ListTopics(ctx, names...)
}

// hide finds out which topics this client may not describe. Who may create them
// and nothing else does so, or hears that they are there.
func (e *ensurer) hide(ctx context.Context) error {
	may, err := allowed(ctx, e.cl, e.names())
	for _, name := range e.names() {
		e.hidden[name] = err == nil && !may[name].has(kmsg.ACLOperationDescribe)
	}
	return err
}

// settleCounts fixes how many partitions each topic has or gets: want if it is
// not 0, else the count of the sharded topics that exist, else the default.
func (e *ensurer) settleCounts(want int, found kadm.TopicDetails) error {
	count := want
	for _, s := range e.specs {
		if detail, ok := found[s.name]; ok && s.sharded && count == 0 {
			count = len(detail.Partitions)
		}
	}
	if count == 0 {
		count = schemas.DefaultPartitions
	}
	for i := range e.specs {
		if e.specs[i].partitions == 0 {
			e.specs[i].partitions = count
		}
	}
	return problems(e.countProblems(found))
}

// countProblems says whether the sharded topics disagree on their partitions. A task's events and its waiting record
// stand in the partition of its lane with the same number, so an unequal count leaves some of them nowhere to go.
func (e *ensurer) countProblems(found kadm.TopicDetails) []string {
	var counts []string
	unequal, highest := false, 0
	for _, s := range e.specs {
		detail, ok := found[s.name]
		if !s.sharded || !ok {
			continue
		}
		n := len(detail.Partitions)
		counts = append(counts, fmt.Sprintf("%s has %d", s.name, n))
		unequal = unequal || n != s.partitions
		highest = max(highest, n)
	}
	if !unequal {
		return nil
	}
	return []string{fmt.Sprintf("the lanes, tasks.scheduled and task-events must have equal "+
		"partition counts (%d wanted): %s. "+
		"Either ask for the count they have with --partitions, or stop everything, let the lanes run "+
		"empty, and raise all to %d with "+
		"kafka-topics --alter --partitions, or begin with new topics under another --topic-prefix",
		e.specs[0].partitions, strings.Join(counts, ", "), max(highest, e.specs[0].partitions))}
}

// waitLeaders waits until every topic is there and each partition has a leader that serves it.
func (e *ensurer) waitLeaders(ctx context.Context) (kadm.TopicDetails, error) {
	pauses := pace.Backoff{First: 20 * time.Millisecond, Longest: 500 * time.Millisecond}
	for {
		found, err := e.list(ctx)
		lacking := slices.DeleteFunc(e.visible(), func(name string) bool { return err == nil && hasLeaders(found[name]) })
		if err == nil && len(lacking) == 0 {
			lacking, err = kafka.Unserved(ctx, e.adm, e.visible()...)
		}
		if err == nil && len(lacking) == 0 {
			return found, nil
		}
		if !pauses.Wait(ctx) {
			return nil, fmt.Errorf("wait for leaders of %s: %w; see the brokers' logs", strings.Join(lacking, ", "),
				errors.Join(ctx.Err(), err))
		}
	}
}

// hasLeaders reports whether a topic exists and each partition has a leader.
func hasLeaders(d kadm.TopicDetail) bool {
	for _, p := range d.Partitions {
		if p.Leader < 0 {
			return false
		}
	}
	return d.Err == nil && len(d.Partitions) > 0
}
