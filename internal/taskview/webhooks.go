package taskview

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/logreader"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// deadLetterRecords bounds one poll of the dead letters, and roomInterval is the pause
// while there is no room for what they say.
const (
	deadLetterRecords = 500
	roomInterval      = 100 * time.Millisecond
	maxWebhookError   = 2 << 10
)

// followDeadLetters takes in which webhooks were given up, until ctx ends. The view needs
// nothing else of the topic: whatever is wrong with it ends no session.
func (s *session) followDeadLetters(ctx context.Context, from map[topicPartition]position) error {
	pauses := pace.Backoff{First: time.Second, Longest: time.Minute, Steady: time.Minute}
	for ctx.Err() == nil {
		err := s.readDeadLetters(ctx, from)
		if ctx.Err() != nil {
			break
		}
		s.view.logger.Warn("dead letters are read from their start", "error", err)
		from = nil // it is another log, or one that has lost its end
		pauses.Wait(ctx)
	}
	return context.Cause(ctx)
}

func (s *session) readDeadLetters(ctx context.Context, from map[topicPartition]position) error {
	topic := s.view.config.Topics.DeadLetters()
	log, err := logreader.Open(logreader.Config{
		Kafka: s.view.config.Kafka, Topics: []string{topic}, Name: "dead letters", FromStart: true,
		Records: deadLetterRecords, Fetches: 1, Logger: s.view.logger,
	})
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Await(ctx); err != nil {
		return err
	}
	places := map[int32]int64{}
	for p := range int32(log.Partitions(topic)) {
		places[p] = from[topicPartition{topic, p}].next
	}
	log.Begin(map[string]map[int32]int64{topic: places})
	return log.Follow(ctx, func(ctx context.Context) error {
		for {
			err := log.Poll(ctx, func(p kgo.FetchTopicPartition) error {
				for s.view.overlay.full() {
					signal(s.view.overlay.kick)
					if !pace.Sleep(ctx, roomInterval) {
						return context.Cause(ctx)
					}
				}
				for _, r := range p.Records {
					s.takeDeadLetter(r)
				}
				if len(p.Records) > 0 {
					signal(s.view.overlay.kick)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	})
}

// isOfTask reports whether an event was read that names a task.
func isOfTask(e *schemas.Event, err error) bool {
	if err != nil {
		return false
	}
	_, problem := e.Key().Check()
	return problem == ""
}

// takeDeadLetter notes the webhook that a record of the dead letters is about. Its value
// is the event that was to be posted, which names its task and shard.
func (s *session) takeDeadLetter(r *kgo.Record) {
	o := s.view.overlay
	if r.Attrs.IsControl() || headerOf(r, schemas.HeaderReason) != schemas.ReasonWebhookFailed {
		o.skip(r, nil)
		return
	}
	event, err := schemas.DecodeEvent(r.Value)
	if !isOfTask(event, err) || event.Source == nil {
		o.skip(r, nil)
		return
	}
	lane, known := s.log.lane(event.Source.Topic)
	if !known {
		o.skip(r, nil)
		return
	}
	tries, _ := strconv.Atoi(headerOf(r, schemas.HeaderAttempt))
	webhook := schemas.WebhookOutcome{
		Status: schemas.WebhookFailed, Error: clipped(headerOf(r, schemas.HeaderError)), Tries: max(tries, 0),
		Time: atMilli(r.Timestamp.UnixMilli()),
	}
	run := runKey{event.Key(), lane, event.Source.Partition}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.filling.webhooks[run] = webhook
	o.filling.note(r, nil)
}

// clipped bounds a text that anybody who may write dead letters can choose.
func clipped(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxWebhookError)], "")
}

func headerOf(r *kgo.Record, key string) string {
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}

func writeWebhooks(ctx context.Context, tx *sql.Tx, b *batch) error {
	if len(b.webhooks) == 0 {
		return nil
	}
	return prepared(ctx, tx, "INSERT OR REPLACE INTO webhooks VALUES (?, ?, ?, ?, ?, ?, ?)",
		func(exec func(...any) error) error {
			for run, webhook := range b.webhooks {
				data, err := json.Marshal(webhook)
				if err != nil {
					return fmt.Errorf("encode webhook: %w", err)
				}
				if err := exec(run.TaskID, run.UserID, run.lane, run.partition, webhook.Time.UnixMilli(), data,
					sumOf(data)); err != nil {
					return fmt.Errorf("write webhook: %w", err)
				}
			}
			return nil
		})
}

// webhook is what is known of a run's webhook, nil if it was not given up.
func (s *store) webhook(ctx context.Context, run runKey) (*schemas.WebhookOutcome, error) {
	var data []byte
	var sum int64
	err := s.read.QueryRowContext(ctx,
		"SELECT data, sum FROM webhooks WHERE task_id = ? AND user_id = ? AND lane = ? AND part = ?",
		run.TaskID, run.UserID, run.lane, run.partition).Scan(&data, &sum)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = checkSum(data, sum)
	}
	webhook := new(schemas.WebhookOutcome)
	if err == nil {
		err = json.Unmarshal(data, webhook)
	}
	if err != nil {
		return nil, fmt.Errorf("get webhook of task: %w", err)
	}
	return webhook, nil
}
