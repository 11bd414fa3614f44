package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// gorillaLog is the floor of a notifier: bare gorilla that gets its events from a
// log in another process, by the key of each record, and looks at nothing else. It
// checks no event, gives no cursor, remembers nothing and cannot resume.
type gorillaLog struct {
	*remoteFeed
	served *gorilla
	log    *kgo.Client
}

func (o options) startGorillaLog(ctx context.Context) (*gorillaLog, error) {
	f, err := o.startRemoteFeed(ctx)
	if err != nil {
		return nil, err
	}
	g, err := startGorilla(ctx)
	if err != nil {
		f.process.close()
		return nil, err
	}
	client, err := kafka.NewClient(kafka.Config{Brokers: []string{f.broker}},
		kgo.ConsumeTopics(schemas.Topics{}.Events()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()))
	if err != nil {
		g.close()
		f.process.close()
		return nil, err
	}
	s := &gorillaLog{f, g, client}
	go s.read(ctx)
	return s, nil
}

// read ends with the client.
func (s *gorillaLog) read(ctx context.Context) {
	for {
		fetches := s.log.PollFetches(ctx)
		if fetches.IsClientClosed() || ctx.Err() != nil {
			return
		}
		// A client whose queue is full misses an event, and its driver says so.
		fetches.EachRecord(func(r *kgo.Record) { _ = s.served.send(string(r.Key), r.Value) })
	}
}

func (s *gorillaLog) addr() string { return s.served.addr() }

func (s *gorillaLog) close() {
	s.log.Close()
	s.served.close()
	s.process.close()
}
