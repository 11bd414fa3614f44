package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createMissing creates the topics that are not in found, in one request.
func (e *ensurer) createMissing(ctx context.Context, found kadm.TopicDetails, replicas int) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(createTimeout.Milliseconds())
	for _, s := range e.specs {
		if _, ok := found[s.name]; ok {
			continue
		}
		if replicas == 0 {
			var err error
			if replicas, err = e.defaultReplicas(ctx); err != nil {
				return err
			}
		}
		req.Topics = append(req.Topics, s.request(replicas))
	}
	if len(req.Topics) == 0 {
		return nil
	}
	resp, err := req.RequestWith(ctx, e.cl)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	var failed []error
	for _, t := range resp.Topics {
		err := kerr.ErrorForCode(t.ErrorCode)
		e.created[t.Topic] = err == nil
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) { // another process was first
			failed = append(failed, createError(t, err))
		}
	}
	return errors.Join(failed...)
}

// request asks for the topic.
func (s topicSpec) request(replicas int) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic = s.name
	t.NumPartitions = int32(s.partitions)
	t.ReplicationFactor = int16(replicas)
	for name, value := range s.options(replicas) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, &value
		t.Configs = append(t.Configs, c)
	}
	return t
}

// createError adds what to do to the broker's refusal.
func createError(t kmsg.CreateTopicsResponseTopic, err error) error {
	detail := ""
	if t.ErrorMessage != nil {
		detail = " (" + *t.ErrorMessage + ")"
	}
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("create topic %s: %w%s; create it with `tasklane topics ensure` as a "+
			"user who may, or allow this one", t.Topic, err, detail)
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return fmt.Errorf("create topic %s: %w%s; lower --replication-factor or start more brokers", t.Topic, err, detail)
	}
	return fmt.Errorf("create topic %s: %w%s", t.Topic, err, detail)
}

// defaultReplicas is 3 where there are three brokers, so that one may fail
// without a stop and without a loss, else 1.
func (e *ensurer) defaultReplicas(ctx context.Context) (int, error) {
	brokers, err := e.adm.ListBrokers(ctx)
	if err != nil {
		return 0, fmt.Errorf("count brokers: %w", err)
	}
	if len(brokers) >= 3 {
		return 3, nil
	}
	return 1, nil
}
