package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// Appender writes journal records and dead letters. One serves every lane of a
// process: a single idempotent producer keeps the records of a partition in the
// order of the calls, which the protocol rests on.
type Appender struct {
	client *kgo.Client
	topics schemas.Topics
	events string // the journal's topic
	log    *slog.Logger
	drafts sync.Pool
	health kafka.Health
}

// maxBuffered bounds nothing in practice: what is in flight is bounded by the
// slots and by the reports a job may have outstanding. It only has to be large
// enough that Produce, which is called under a shard's lock, never blocks.
const maxBuffered = 4 << 20

// NewAppender connects a producer; Close ends it.
func NewAppender(c kafka.Config, topics schemas.Topics) (*Appender, error) {
	opts := append(kafka.ProducerOpts(),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(placement(topics.DeadLetters()))),
		kgo.MaxBufferedRecords(maxBuffered),
	)
	client, err := kafka.NewClient(c, opts...)
	if err != nil {
		return nil, fmt.Errorf("create journal producer: %w", err)
	}
	a := &Appender{client: client, topics: topics, events: topics.Events(), log: c.Logger}
	a.drafts.New = func() any { return newDraft(a) }
	return a, nil
}

// placement puts journal records where they say, and dead letters of a lane's
// partition into one partition of the dead letters, however many it has.
func placement(letters string) func(topic string) func(r *kgo.Record, n int) int {
	return func(topic string) func(*kgo.Record, int) int {
		if topic == letters {
			return func(r *kgo.Record, n int) int { return int(r.Partition) % n }
		}
		return func(r *kgo.Record, _ int) int { return int(r.Partition) }
	}
}

// Healthy is nil while what is written is acknowledged.
func (a *Appender) Healthy() error { return a.health.Err() }

// Close drops what is not written yet and ends the producer.
func (a *Appender) Close() { a.client.Close() }

// append writes a record into a journal partition and calls done with its offset,
// in the order of the calls. The record is encoded when append returns.
func (a *Appender) append(partition int32, r shard.Record, done func(offset int64, err error)) {
	d := a.drafts.Get().(*draft)
	var err error
	if d.value, err = encode(r, d.value[:0]); err != nil {
		a.log.Error("encode journal record", "shard", r.Stamp.Shard, "error", err)
		a.recycle(d)
		// The shard must not be called back under its own lock.
		go done(0, err)
		return
	}
	d.record = kgo.Record{Topic: a.events, Partition: partition, Value: d.value, Headers: d.headers[:]}
	fold.WriteHeaders(r.Stamp, &d.headers, d.texts[:0])
	if r.Callback != "" {
		d.record.Headers = append(d.record.Headers,
			kgo.RecordHeader{Key: schemas.HeaderCallback, Value: []byte(r.Callback)})
	}
	if r.Event != nil && r.Event.Kind.OfTask() {
		d.key = append(d.key[:0], r.Event.UserID...)
		d.record.Key = d.key
	}
	d.done = done
	a.health.Sent()
	a.client.Produce(context.Background(), &d.record, d.promise)
}

// appendWait does the same for the waiting log.
func (a *Appender) appendWait(partition int32, r shard.WaitRecord, done func(offset int64, err error)) {
	record := &kgo.Record{Topic: a.topics.Scheduled(), Partition: partition, Key: r.Key,
		Headers: fold.Headers[kgo.RecordHeader](r.Stamp)}
	if err := fillWait(record, r); err != nil {
		a.log.Error("encode waiting record", "shard", r.Stamp.Shard, "error", err)
		go done(0, err) // the shard must not be called back under its own lock
		return
	}
	a.health.Sent()
	a.client.Produce(context.Background(), record, func(written *kgo.Record, err error) {
		a.health.Settled(err)
		done(written.Offset, err)
	})
}

// fillWait gives a waiting record its value: none for a tombstone.
func fillWait(record *kgo.Record, r shard.WaitRecord) (err error) {
	switch {
	case r.Sign != nil:
		record.Value, err = r.Sign.Encode()
	case r.Claim != nil:
		record.Value, err = r.Claim.Encode()
	case r.Wait != nil:
		lane := DeliveryOf(r.Job).record
		var header []byte
		header, err = r.Wait.WithKey(lane.Key, r.Job.Task.UserID).Encode()
		record.Value = lane.Value
		record.Headers = append(append(record.Headers, keepHeaders(lane.Headers)...),
			kgo.RecordHeader{Key: schemas.HeaderWaiting, Value: header})
	}
	return err
}

// maxValueBytes is the largest event that is written: what the topic takes, less
// room for key, headers and the batch around them.
const maxValueBytes = schemas.MaxEventBytes - 64<<10

// encode is a record's value, an event's in the room that is given. An event that cannot be written, because of what
// a service put into it, is replaced by one that can and says so: the shard
// would otherwise doubt, take over and try the same event again for ever.
func encode(r shard.Record, room []byte) ([]byte, error) {
	if r.Sign != nil {
		value, err := r.Sign.Encode()
		return append(room, value...), err
	}
	r.Event.EventID = r.Stamp.EventID()
	value, err := r.Event.AppendTo(room)
	if err == nil && len(value) > maxValueBytes {
		err = fmt.Errorf("the event has %d bytes; at most %d are written", len(value), maxValueBytes)
	}
	if err == nil {
		return value, nil
	}
	reduce(r.Event, err)
	return r.Event.AppendTo(room)
}

// reduce takes out of an event whatever a service has put in; an end becomes a
// failure that says why.
func reduce(e *schemas.Event, why error) {
	e.Result, e.Output, e.Log, e.Usage, e.Progress, e.Files, e.Unknown = nil, nil, nil, nil, nil, nil, nil
	e.Message = "An event could not be written: " + e.Task
	e.Error = strings.ToValidUTF8(why.Error(), "\uFFFD")
	if len(e.Error) > maxReasonBytes {
		e.Error = strings.ToValidUTF8(e.Error[:maxReasonBytes], "")
	}
	if e.Terminal() {
		e.Status, e.ErrorCode = schemas.Failed, schemas.CodeServiceError
	}
}

// maxReasonBytes bounds the text by which a reduced event explains itself.
const maxReasonBytes = 1 << 10

// deadLetterRetry is the pause before a dead letter is tried again.
const deadLetterRetry = time.Second

// writeDeadLetter writes a lane record to the dead letters as it was received, with
// headers that say why, and calls done once that is acknowledged. It keeps
// trying until the client is closed: the record's offset waits for it. A record
// that is too large for the topic (a compressed batch can carry one past the
// lane's own limit) is cut.
func (a *Appender) writeDeadLetter(r *kgo.Record, why shard.DeadLetter, done func()) {
	a.produceDeadLetter(r, a.deadLetter(r, why), done)
}

func (a *Appender) produceDeadLetter(r, letter *kgo.Record, done func()) {
	a.health.Sent()
	a.client.Produce(context.Background(), letter, func(_ *kgo.Record, err error) {
		a.health.Settled(err)
		switch {
		case err == nil:
			done()
		case errors.Is(err, kgo.ErrClientClosed):
		case errors.Is(err, kerr.MessageTooLarge) && len(letter.Value) > maxCutBytes:
			a.produceDeadLetter(r, cut(letter), done)
		default:
			a.log.Error("write dead letter", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "error",
				err)
			// A record can be produced once; the next try takes a copy.
			again := *letter
			time.AfterFunc(deadLetterRetry, func() { a.produceDeadLetter(r, &again, done) })
		}
	})
}

func (a *Appender) deadLetter(r *kgo.Record, why shard.DeadLetter) *kgo.Record {
	letter := &kgo.Record{
		Topic: a.topics.DeadLetters(), Partition: r.Partition, Key: r.Key, Value: r.Value,
		Headers: append(keepHeaders(r.Headers),
			kgo.RecordHeader{Key: schemas.HeaderReason, Value: []byte(why.Reason)},
			kgo.RecordHeader{Key: schemas.HeaderError, Value: []byte(why.Text)},
			kgo.RecordHeader{Key: schemas.HeaderTopic, Value: []byte(r.Topic)},
			kgo.RecordHeader{Key: schemas.HeaderPartition, Value: strconv.AppendInt(nil, int64(r.Partition), 10)},
			kgo.RecordHeader{Key: schemas.HeaderOffset, Value: strconv.AppendInt(nil, r.Offset, 10)},
			kgo.RecordHeader{Key: schemas.HeaderAttempt, Value: strconv.AppendInt(nil, int64(why.Attempt), 10)},
		),
	}
	if why.History != nil {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: schemas.HeaderHistory, Value: why.History})
	}
	return letter
}

// maxCutBytes is what is kept of a record that is too large to be a dead
// letter, and maxCutKeyBytes of its key.
const (
	maxCutBytes    = 1 << 20
	maxCutKeyBytes = 1 << 10
)

// cut is a dead letter that fits: the start of the value and of the key, only
// Tasklane's own headers, and one that says how much there was.
func cut(letter *kgo.Record) *kgo.Record {
	short := &kgo.Record{
		Topic: letter.Topic, Partition: letter.Partition,
		Key: letter.Key[:min(len(letter.Key), maxCutKeyBytes)], Value: letter.Value[:maxCutBytes],
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderTruncated,
			Value: strconv.AppendInt(nil, int64(len(letter.Value)), 10)}},
	}
	for _, h := range letter.Headers {
		if schemas.OwnHeader(h.Key) {
			short.Headers = append(short.Headers, h)
		}
	}
	return short
}

// keepHeaders copies a record's own headers, without those that only Tasklane gives: a
// letter that was put back on a lane as it was must not carry two reasons, and no
// sender can say what became of a task.
func keepHeaders(headers []kgo.RecordHeader) []kgo.RecordHeader {
	kept := make([]kgo.RecordHeader, 0, len(headers)+6)
	for _, h := range headers {
		if !schemas.OwnHeader(h.Key) {
			kept = append(kept, h)
		}
	}
	return kept
}
