package processor_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// TestHealthOfABrokerThatAnswersWithErrors: for ever, and only to what one part of the
// processor's work needs. It is not healthy, says why, and is again when that is over.
func TestHealthOfABrokerThatAnswersWithErrors(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		keys []kmsg.Key
		// says is in the reason.
		says   string
		answer func(kmsg.Request) kmsg.Response
	}{
		"group": {[]kmsg.Key{kmsg.Heartbeat, kmsg.JoinGroup}, "not in its group", func(req kmsg.Request) kmsg.Response {
			switch resp := req.ResponseKind().(type) {
			case *kmsg.HeartbeatResponse:
				resp.ErrorCode = kerr.UnknownServerError.Code
				return resp
			case *kmsg.JoinGroupResponse:
				resp.ErrorCode = kerr.UnknownServerError.Code
				return resp
			}
			return nil
		}},
		"appends": {[]kmsg.Key{kmsg.Produce}, "acknowledged none of", refuseProduce},
		"ends":    {[]kmsg.Key{kmsg.ListOffsets}, "ask where the log ends", refuseList},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			var failing atomic.Bool
			for _, key := range fault.keys {
				cluster.ControlKey(key.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
					cluster.KeepControl()
					if !failing.Load() {
						return nil, nil, false
					}
					return fault.answer(req), nil, true
				})
			}
			w := newWorldOn(t, cluster.ListenAddrs()[0])
			p, _ := w.startProcessor(nil, handlers(map[string]processor.Handler{
				"nothing": func(context.Context, *processor.Context) (any, error) { return nil, nil },
			}))
			healthy := func() string {
				if err := p.Healthy(); err != nil {
					return err.Error()
				}
				return ""
			}
			<-p.Ready()
			w.until("health at first", func() bool { return healthy() == "" })
			failing.Store(true)
			w.until("trouble that is told", func() bool { return strings.Contains(healthy(), fault.says) })
			failing.Store(false)
			w.until("health again", func() bool { return healthy() == "" })
			w.send(schemas.LaneFast, task("after", "nothing"))
			w.until("the end of a task", func() bool { return len(w.events) > 0 && w.events[len(w.events)-1].Terminal() })
		})
	}
}

// refuseProduce answers as a broker that has lost its replicas.
func refuseProduce(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.ProduceRequest)
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, kerr.NotEnoughReplicas.Code
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// refuseList answers that something is wrong with every partition.
func refuseList(r kmsg.Request) kmsg.Response {
	req := r.(*kmsg.ListOffsetsRequest)
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	for _, t := range req.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewListOffsetsResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, kerr.UnknownServerError.Code
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
