package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/pace"
)

const (
	// LookInterval is the pause between two looks at a log, for each thousand partitions, whose answers are large.
	LookInterval = time.Second
	// LookTimeout is how long one may take. Together they are the time in which trouble is noticed.
	LookTimeout = 2 * time.Second
)

// Watch looks at a log for whoever reads or writes it: a client goes on for ever with a topic that was deleted and
// made anew, or whose end is before the place it reads at, and says nothing, or too much, when no broker answers.
type Watch struct {
	Client *kgo.Client
	Topics []string
	// Grows says that whoever is watched for follows partitions that are added by
	// itself. For others the log has changed then.
	Grows bool
	// Equal are the topics whose partition counts must be equal for all to be well.
	Equal []string
	// Next is where a reader goes on, by topic and partition. If the log ends before that, what was read is gone,
	// and the log has changed. It is nil for those who do not read.
	Next func() map[string]map[int32]int64
	// Health is told what each look has found; it may be nil.
	Health *Health

	log Log
	// beyond is the places that were beyond the log's end at the last look.
	beyond map[string]map[int32]int64
}

// Await looks for the log until it is there. Only the end of ctx makes it fail,
// with its cause. say is told why it waits, a reason that lasts once.
func (w *Watch) Await(ctx context.Context, say func(reason error)) error {
	return Await(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeoutCause(ctx, LookTimeout, errSilent)
		defer cancel()
		log, err := FindLog(ctx, w.Client, w.Topics...)
		if err = silence(ctx, err); err != nil {
			w.tell(err)
			return err
		}
		w.log, w.beyond = log, nil
		w.tell(log.Unequal(w.Equal...)) // what is there can be worked with
		return nil
	}, say)
}

// Partitions is how many partitions a topic had when it was last looked at.
func (w *Watch) Partitions(topic string) int { return w.log.Partitions(topic) }

// TopicID is what the cluster knew a topic by when it was last looked at, zero if it gives no ids.
func (w *Watch) TopicID(topic string) [16]byte { return w.log.TopicID(topic) }

// Cluster is the id of the cluster when it was last looked at.
func (w *Watch) Cluster() string { return w.log.cluster }

// Run looks at the log that Await has found until ctx ends, which is its cause, or
// the log has changed, which is a *ChangedError.
func (w *Watch) Run(ctx context.Context) error {
	for pace.Sleep(ctx, w.log.lookInterval()) {
		err := w.look(ctx)
		if ctx.Err() != nil {
			break
		}
		w.tell(err)
		var changed *ChangedError
		if errors.As(err, &changed) {
			return err
		}
	}
	return context.Cause(ctx)
}

// look is nil if the log is what it was and every partition's leader answers.
func (w *Watch) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, LookTimeout, errSilent)
	defer cancel()
	now, err := FindLog(ctx, w.Client, w.Topics...)
	if err != nil {
		return silence(ctx, err)
	}
	if err := w.log.changed(now, !w.Grows); err != nil {
		return err
	}
	w.log = now
	if err := now.Unequal(w.Equal...); err != nil {
		return err
	}
	return silence(ctx, w.measure(ctx))
}

// errSilent is the cause of a look's end that took too long.
var errSilent = fmt.Errorf("%w within %v; check that the brokers run and the address is right", ErrUnreachable,
	LookTimeout)

// silence puts the reason before what a client makes of a context's end.
func silence(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

// measure asks all leaders where the log ends. A reader that is beyond that at two
// looks has read what is gone: a new leader may not know its end for a moment.
func (w *Watch) measure(ctx context.Context) error {
	var next map[string]map[int32]int64
	if w.Next != nil {
		next = w.Next() // before the question: the log only grows
	}
	ends, err := kadm.NewClient(w.Client).ListEndOffsets(ctx, w.Topics...)
	if err := complete(ends, err, w.Topics); err != nil {
		return fmt.Errorf("ask where the log ends: %w", err)
	}
	beyond := map[string]map[int32]int64{}
	for topic, partitions := range next {
		for partition, offset := range partitions {
			end, ok := ends.Lookup(topic, partition)
			if !ok || offset <= end.Offset {
				continue
			}
			if was, again := w.beyond[topic][partition]; again && was == offset {
				return &ChangedError{fmt.Sprintf("topic %s partition %d ends at offset %d although "+
					"offset %d was read: its tail is gone",
					topic, partition, end.Offset, offset-1)}
			}
			if beyond[topic] == nil {
				beyond[topic] = map[int32]int64{}
			}
			beyond[topic][partition] = offset
		}
	}
	w.beyond = beyond
	return nil
}

func (w *Watch) tell(err error) {
	if w.Health != nil {
		w.Health.Look(err)
	}
}

// IsGone reports whether an error of a poll says that a topic was deleted, or
// deleted and made anew: the client goes on with it for ever, without a pause.
func IsGone(err error) bool {
	return slices.ContainsFunc([]error{kerr.UnknownTopicID, kerr.InconsistentTopicID, kerr.UnknownTopicOrPartition},
		func(gone error) bool { return errors.Is(err, gone) })
}
