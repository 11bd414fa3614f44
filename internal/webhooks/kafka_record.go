package webhooks

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/schemas"
)

// maxTries bounds the number in a record.
const maxTries = 1_000_000

// encodeEntry makes the record of task-webhooks that says an entry.
func encodeEntry(topic string, e entry) *kgo.Record {
	r := &kgo.Record{
		Topic: topic, Partition: e.partition, Key: []byte(e.user), Value: e.body,
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderDelivery, Value: []byte(e.id)}},
	}
	header := func(key, value string) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	if e.outcome != "" {
		r.Value = nil
		header(schemas.HeaderOutcome, string(e.outcome))
		return r
	}
	header(schemas.HeaderCallback, e.url)
	header(schemas.HeaderTries, strconv.Itoa(e.tries))
	header(schemas.HeaderCreated, e.created.UTC().Format(time.RFC3339Nano))
	header(schemas.HeaderDue, e.due.UTC().Format(time.RFC3339Nano))
	return r
}

// decodeEntry reads one.
func decodeEntry(r *kgo.Record) (entry, error) {
	e := entry{
		partition: r.Partition, id: headerOf(r, schemas.HeaderDelivery), user: string(r.Key), outcome: outcome(headerOf(r, schemas.HeaderOutcome)),
	}
	switch {
	case e.id == "":
		return entry{}, errors.New("it has no " + schemas.HeaderDelivery)
	case e.outcome != "" && !e.outcome.valid():
		return entry{}, fmt.Errorf("its outcome is %.40q", e.outcome)
	case e.outcome != "":
		return e, nil
	case len(r.Value) == 0:
		return entry{}, errors.New("it has neither a value nor an outcome")
	}
	e.url, e.body = headerOf(r, schemas.HeaderCallback), r.Value
	if e.url == "" || schemas.CheckCallbackURL(e.url) != "" {
		return entry{}, fmt.Errorf("its %s is no URL to post to", schemas.HeaderCallback)
	}
	var err error
	if e.tries, err = strconv.Atoi(headerOf(r, schemas.HeaderTries)); err != nil || e.tries < 0 || e.tries > maxTries {
		return entry{}, fmt.Errorf("its %s is no number of tries", schemas.HeaderTries)
	}
	if e.created, err = time.Parse(time.RFC3339Nano, headerOf(r, schemas.HeaderCreated)); err != nil {
		return entry{}, fmt.Errorf("read %s: %w", schemas.HeaderCreated, err)
	}
	if e.due, err = time.Parse(time.RFC3339Nano, headerOf(r, schemas.HeaderDue)); err != nil {
		return entry{}, fmt.Errorf("read %s: %w", schemas.HeaderDue, err)
	}
	return e, nil
}

func headerOf(r *kgo.Record, key string) string {
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}

// letter is the dead letter of a delivery that was given up: the event as it
// would have been posted, with why not.
func letter(topics schemas.Topics, d *delivery, body []byte, why string, tries int) *kgo.Record {
	header := func(key, value string) kgo.RecordHeader { return kgo.RecordHeader{Key: key, Value: []byte(value)} }
	return &kgo.Record{
		Topic: topics.DeadLetters(), Partition: d.partition, Key: []byte(d.user), Value: body,
		Headers: []kgo.RecordHeader{
			header(schemas.HeaderReason, schemas.ReasonWebhookFailed),
			header(schemas.HeaderError, why),
			header(schemas.HeaderTopic, topics.Webhooks()),
			header(schemas.HeaderPartition, strconv.Itoa(int(d.partition))),
			header(schemas.HeaderOffset, strconv.FormatInt(d.offset, 10)),
			header(schemas.HeaderAttempt, strconv.Itoa(tries)),
			header(schemas.HeaderDelivery, d.id),
			header(schemas.HeaderCallback, d.url),
		},
	}
}
