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
func encodeEntry(topic string, e entry, seal string) *kgo.Record {
	r := &kgo.Record{
		Topic: topic, Partition: e.partition, Key: []byte(e.user), Value: e.body,
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderDelivery, Value: []byte(e.id)},
			{Key: schemas.HeaderSeal, Value: []byte(seal)}},
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
		partition: r.Partition, id: headerOf(r, schemas.HeaderDelivery), user: string(r.Key),
		outcome: outcome(headerOf(r, schemas.HeaderOutcome)),
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

// deadLetter is the record of a delivery that was given up, or that cannot be made: the
// event as it would have been posted, with why not and which record is given up.
func deadLetter(topics schemas.Topics, e *entry, of schemas.Place, why string, tries int) *kgo.Record {
	r := &kgo.Record{Topic: topics.DeadLetters(), Partition: e.partition, Key: []byte(e.user), Value: e.body}
	for _, h := range [][2]string{
		{schemas.HeaderReason, schemas.ReasonWebhookFailed}, {schemas.HeaderError, why}, {schemas.HeaderTopic,
			of.Topic},
		{schemas.HeaderPartition, strconv.Itoa(int(of.Partition))}, {schemas.HeaderOffset, strconv.FormatInt(of.Offset,
			10)},
		{schemas.HeaderAttempt, strconv.Itoa(tries)}, {schemas.HeaderDelivery, e.id}, {schemas.HeaderCallback, e.url},
	} {
		if h[1] != "" { // where the task is gone, nobody knows where it would have gone
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
		}
	}
	return r
}
