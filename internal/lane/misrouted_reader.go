package lane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// misroutedPoll bounds the records that are handled between two commits.
const misroutedPoll = 1000

// MisroutedConfig says where a [MisroutedReader] looks.
type MisroutedConfig struct {
	Kafka    kafka.Config
	Topics   schemas.Topics
	Lanes    []string // of this process
	Appender *Appender
	// SessionTimeout is after how long another member takes the place of one that died.
	SessionTimeout time.Duration
	// DeadLettered is told of each dead letter that is written.
	DeadLettered func(j *shard.Job, reason schemas.ErrorCode, why string)
}

// MisroutedReader looks for tasks on topics that nobody runs tasks from: task-control,
// task-webhooks, and topics that are named like a lane, in which no processor has a
// part. Their sender would hear nothing. The members of one consumer group share the
// partitions, so that each such task has one dead letter: more only where a member dies
// between a letter and the commit behind it.
//
// Tasks on task-events and tasks.scheduled are found by the shards' owners, who read
// those anyway.
type MisroutedReader struct {
	config MisroutedConfig
	log    *slog.Logger
	health kafka.Health
}

// NewMisroutedReader starts nothing.
func NewMisroutedReader(c MisroutedConfig) *MisroutedReader {
	setDefault(&c.SessionTimeout, 10*time.Second)
	return &MisroutedReader{config: c, log: c.Kafka.Logger}
}

// Run reads until the context ends. What keeps it from reading is logged, and tried
// again: no task waits for it.
func (s *MisroutedReader) Run(ctx context.Context) error {
	pauses := pace.Backoff{First: 100 * time.Millisecond, Longest: time.Minute, Steady: 10 * time.Minute}
	found := newNoLanes(s.config)
	for ctx.Err() == nil {
		err := s.session(ctx, found)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errOtherTopics):
			continue
		case err != nil:
			s.log.Warn("tasks that were sent to no lane cannot be looked for, it is tried again", "error", err)
		}
		pauses.Wait(ctx)
	}
	return nil
}

// errOtherTopics ends a session that does not read what it should any more.
var errOtherTopics = errors.New("there are other topics that are no lanes")

// session is one membership in the group, for as long as the topics are the same.
func (s *MisroutedReader) session(ctx context.Context, found *noLanes) error {
	client, err := kafka.NewClient(s.config.Kafka,
		kafka.GroupMember(),
		kgo.ConsumerGroup(s.config.Topics.StraysGroup()),
		kgo.ConsumeTopics(append(found.topics(), s.config.Topics.Control(), s.config.Topics.Webhooks())...),
		kgo.SessionTimeout(s.config.SessionTimeout),
		kgo.HeartbeatInterval(min(heartbeatInterval, s.config.SessionTimeout/3)),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.KeepControlRecords(),   // they are committed, or the group would never be at the end
		kgo.BlockRebalanceOnPoll(), // a letter and its commit are one member's
		kgo.MaxConcurrentFetches(1),
	)
	if err != nil {
		return err
	}
	defer pace.Within(leaveTimeout, func() {
		client.AllowRebalance()
		client.Close()
	})
	ctx, end := context.WithCancelCause(ctx)
	var looking sync.WaitGroup
	defer looking.Wait()
	defer end(nil)
	looking.Go(func() { end(found.watch(ctx, kadm.NewClient(client), s.log)) })
	for {
		if err := s.poll(ctx, client); err != nil || ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// poll writes the letters of what has come, and commits behind them.
func (s *MisroutedReader) poll(ctx context.Context, client *kgo.Client) error {
	fetches := client.PollRecords(ctx, misroutedPoll)
	defer client.AllowRebalance()
	for _, failed := range fetches.Errors() {
		if kafka.IsGone(failed.Err) || isDenied(failed.Err) {
			return fmt.Errorf("read %s: %w", failed.Topic, failed.Err)
		}
	}
	letters, written := 0, make(chan struct{}, fetches.NumRecords())
	fetches.EachRecord(func(r *kgo.Record) {
		if bytes.Contains(r.Value, []byte("task_name")) && isTask(r.Value) {
			letters++
			s.write(r, func() { written <- struct{}{} })
		}
	})
	kafka.Polled(ctx, fetches, &s.health)
	// Also when it is to stop: what has a letter is committed, or it would have another.
	if fetches.NumRecords() == 0 || !waitFor(ctx, written, letters) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := client.CommitUncommittedOffsets(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func isDenied(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed)
}

// waitFor waits for letters to be written; false if they are not for a while after the
// context's end.
func waitFor(ctx context.Context, written <-chan struct{}, letters int) bool {
	late := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lastCommitTimeout, func() { close(late) }) })
	defer stop()
	for range letters {
		select {
		case <-written:
		case <-late:
			return false
		}
	}
	return true
}

func (s *MisroutedReader) write(r *kgo.Record, done func()) {
	why := misroutedWhy(r.Topic, s.config.Topics)
	s.config.Appender.writeDeadLetter(r, shard.DeadLetter{Reason: schemas.ReasonNotALane, Text: why}, func() {
		s.config.DeadLettered(newJob(r, time.Now()), schemas.ReasonNotALane, why)
		done()
	})
}
