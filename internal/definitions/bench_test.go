package definitions

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// BenchmarkCheck is what a submission pays: nothing is decoded where there is no schema.
func BenchmarkCheck(b *testing.B) {
	c, err := NewCatalog(CatalogConfig{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}})
	if err != nil {
		b.Fatal(err)
	}
	s := service("helper", "1", wantsText)
	s.Kind, s.Worker, s.Since = KindService, "w", schemas.AtTime(time.Now())
	value, err := s.encode()
	if err != nil {
		b.Fatal(err)
	}
	c.apply(&kgo.Record{Key: []byte(s.Key()), Value: value, Timestamp: time.Now()})
	c.offers.Store(newOffers(c.held))
	free := task("helper", "", `{"text": "a text of some length, as they are"}`)
	free.TaskName = "anything"
	for name, task := range map[string]*schemas.Task{
		"unknown": task("nobody", "", `{}`), "free": free, "schema": task("helper", "", string(free.InputData)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if wrong := c.Check(task); wrong != nil {
					b.Fatal(wrong)
				}
			}
		})
	}
}
