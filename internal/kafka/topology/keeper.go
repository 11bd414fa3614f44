package topology

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
)

// missingPatience is how long a topic has to be missing before it is created again:
// whoever deletes one to make it anew, with options of their own, gets the time.
const missingPatience = 5 * time.Second

// Keeper creates topics again that are gone: somebody deleted them, or the broker came back empty.
type Keeper struct {
	Client *kgo.Client
	Topics Spec
	Logger *slog.Logger

	missing time.Time // since when, zero if none is
	// partitions is how many the sharded topics had when all were there.
	partitions int
}

// Run looks after the topics until ctx ends. They are there when it begins.
func (k *Keeper) Run(ctx context.Context) {
	pauses := pace.Backoff{First: kafka.LookInterval, Longest: 30 * time.Second}
	for pace.Sleep(ctx, kafka.LookInterval) {
		if !k.due(ctx) {
			continue
		}
		report, err := k.restore(ctx)
		var created []string
		for _, topic := range report.Topics {
			if topic.Created {
				created = append(created, topic.Name)
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			k.Logger.Error("topics are missing and could not be created again", "error", err)
			pauses.Wait(ctx)
		case len(created) > 0:
			k.Logger.Error("topics were gone and were created again: what they had is lost", "topics",
				strings.Join(created, ", "))
		}
	}
}

// due reports whether a topic has been missing for long enough.
func (k *Keeper) due(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, kafka.LookTimeout)
	defer cancel()
	log, err := kafka.FindLog(ctx, k.Client, k.Topics.names()...)
	switch {
	case err == nil:
		k.partitions, k.missing = log.Partitions(k.Topics.Topics.Events()), time.Time{}
	case !errors.Is(err, kerr.UnknownTopicOrPartition):
		// Nobody knows what is there. Whoever makes a topic anew could not do so either, and has the whole time again.
		k.missing = time.Time{}
	case k.missing.IsZero():
		k.missing = time.Now()
	default:
		return time.Since(k.missing) >= missingPatience
	}
	return false
}

// restore creates what is missing, with the partitions that the others have, or that all had.
func (k *Keeper) restore(ctx context.Context) (Report, error) {
	t := k.Topics
	t.Partitions = 0
	if err := k.sharded(ctx); errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Partitions = k.partitions
	} else if err != nil {
		return Report{}, err
	}
	return Ensure(ctx, k.Client, t)
}

// sharded is nil if any of the topics is there that say how many partitions the others have.
func (k *Keeper) sharded(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, kafka.LookTimeout)
	defer cancel()
	for _, s := range k.Topics.specs() {
		if !s.sharded {
			continue
		}
		if _, err = kafka.FindLog(ctx, k.Client, s.name); err == nil {
			return nil
		}
	}
	return err
}

// names are those of all topics.
func (t Spec) names() []string {
	var names []string
	for _, s := range t.specs() {
		names = append(names, s.name)
	}
	return names
}
