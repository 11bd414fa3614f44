package topology

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// stampByBroker sets message.timestamp.type on the topics that take their senders' word for the time: a record that
// says it is of last month would be deleted at the next check of the retention, however new it is, and nobody would
// know. Only what is written from now on is concerned. It is the one option that is changed on a topic that exists;
// where the broker refuses, e.refused says why.
func (e *ensurer) stampByBroker(ctx context.Context, options map[string]topicOptions) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for _, s := range e.specs {
		if got, ok := options[s.name].values[optTimestamps]; ok && got != appendTime {
			req.Resources = append(req.Resources, stampRequest(s.name))
		}
	}
	if len(req.Resources) == 0 {
		return
	}
	resp, err := req.RequestWith(ctx, e.cl)
	if err != nil {
		for _, r := range req.Resources {
			e.refused[r.ResourceName] = err
		}
		return
	}
	for _, r := range resp.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			e.refused[r.ResourceName] = err
			continue
		}
		e.stamped[r.ResourceName] = true
		options[r.ResourceName].values[optTimestamps] = appendTime
	}
}

func stampRequest(topic string) kmsg.IncrementalAlterConfigsRequestResource {
	value := appendTime
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op, c.Value = optTimestamps, kmsg.IncrementalAlterConfigOpSet, &value
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	r.Configs = append(r.Configs, c)
	return r
}
