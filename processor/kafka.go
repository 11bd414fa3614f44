package processor

import (
	"errors"

	"github.com/aiecs/tasklane/internal/journal"
)

// connect makes the lanes' consumers, on one journal producer.
func (p *Processor) connect() ([]*journal.Consumer, func(), error) {
	appender, err := journal.NewAppender(p.config.Kafka, p.config.Topics)
	if err != nil {
		return nil, nil, err
	}
	consumers := make([]*journal.Consumer, len(p.lanes))
	for i, l := range p.lanes {
		var laneErr error
		l.consumer, laneErr = journal.NewConsumer(journal.ConsumerConfig{
			Kafka: p.config.Kafka, Topics: p.config.Topics, Lane: l.name, Worker: p.config.WorkerID,
			Appender: appender, Runner: l, Dir: p.config.Dir, ShortWait: p.config.ShortWait,
			Protocol: journal.Protocol(p.config.GroupProtocol), InstanceID: p.config.instance(),
			SessionTimeout: p.config.SessionTimeout, DrainTimeout: p.config.DrainTimeout, StallTimeout: p.config.StallTimeout,
			KeepBlockers: p.config.KeepBlockers, Letters: journal.LetterPolicy(p.config.DeadLetterFailures),
		})
		consumers[i] = l.consumer
		err = errors.Join(err, laneErr)
	}
	if err != nil {
		appender.Close()
		return nil, nil, err
	}
	return consumers, appender.Close, nil
}
