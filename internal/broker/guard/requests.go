package guard

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

const (
	// maxName is the longest name of a group, and of a topic.
	maxName = logdir.MaxTopicName
	// maxDescribed bounds the resources of one DescribeConfigs; each is answered with all its options.
	maxDescribed = 2000
	// maxTimeLookups bounds the partitions in which one ListOffsets looks for a
	// time. For each a batch is read and decompressed, while nobody else is served.
	maxTimeLookups = 1000
	// maxPattern bounds the pattern with which a member subscribes to topics.
	maxPattern = 1000
	// maxCommitMetadata is the longest text beside a committed offset, as in Apache Kafka.
	maxCommitMetadata = 4096
)

// checkDecoded looks for requests that decode and still do harm: those on which the engine is known to panic, those
// with which it would not start again, and those that make it keep more than there is room for. It answers them
// where a client can make sense of an error, and refuses them otherwise.
func (g *Guard) checkDecoded(c checked) (kmsg.Response, error) {
	switch req := c.req.(type) {
	case *kmsg.FetchRequest:
		return g.checkFetch(req, c.body), nil
	case *kmsg.ListOffsetsRequest:
		return nil, checkListOffsets(req)
	case *kmsg.InitProducerIDRequest:
		return g.checkInitProducer(req), nil
	case *kmsg.JoinGroupRequest:
		return g.checkJoin(req, len(c.frame))
	case *kmsg.SyncGroupRequest:
		return g.usage.sync(req, len(c.frame)), nil
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return g.checkHeartbeat(req, len(c.frame))
	case *kmsg.OffsetCommitRequest:
		return g.checkCommit(req)
	case *kmsg.DeleteGroupsRequest:
		g.usage.forgetGroups(req.Groups)
	case *kmsg.CreateTopicsRequest:
		return g.checkCreateTopics(req)
	case *kmsg.CreatePartitionsRequest:
		return g.checkCreatePartitions(req), nil
	case *kmsg.IncrementalAlterConfigsRequest:
		return g.checkAlterConfigs(req)
	case *kmsg.DescribeConfigsRequest:
		if len(req.Resources) > maxDescribed {
			return nil, refuse("DescribeConfigs: %d resources are over the limit of %d", len(req.Resources), maxDescribed)
		}
	}
	return nil, nil
}

// checkInitProducer gives out ids, but none for transactions.
func (g *Guard) checkInitProducer(req *kmsg.InitProducerIDRequest) kmsg.Response {
	if req.TransactionalID == nil {
		return initProducer(req)
	}
	g.log.Warn("refused a transactional producer: the embedded broker has no transactions, Apache Kafka has",
		"transactional_id", *req.TransactionalID)
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
	return resp
}

// checkJoin wants at least one protocol and none twice. The engine counts the
// members per protocol name and panics when no count fits the group.
func (g *Guard) checkJoin(req *kmsg.JoinGroupRequest, bytes int) (kmsg.Response, error) {
	if len(req.Protocols) == 0 {
		return nil, refuse("JoinGroup: no protocol is named")
	}
	seen := make(map[string]struct{}, len(req.Protocols))
	for _, p := range req.Protocols {
		if _, twice := seen[p.Name]; twice {
			return nil, refuse("JoinGroup: protocol %.40q is named twice", p.Name)
		}
		seen[p.Name] = struct{}{}
	}
	if err := checkGroupName("JoinGroup", req.Group); err != nil {
		return nil, err
	}
	code := g.usage.join(req.Group, kindClassic, req.MemberID == "", bytes)
	if code == nil {
		return nil, nil
	}
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	resp.ErrorCode, resp.Generation, resp.MemberID = code.Code, -1, req.MemberID
	return resp, nil
}

// checkHeartbeat is checkJoin for members under KIP-848.
func (g *Guard) checkHeartbeat(req *kmsg.ConsumerGroupHeartbeatRequest, bytes int) (kmsg.Response, error) {
	if p := req.SubscribedTopicRegex; p != nil && len(*p) > maxPattern {
		return nil, refuse("ConsumerGroupHeartbeat: a pattern of %d bytes is over the limit of %d", len(*p), maxPattern)
	}
	if err := checkGroupName("ConsumerGroupHeartbeat", req.Group); err != nil {
		return nil, err
	}
	code := g.usage.join(req.Group, kindConsumer, req.MemberEpoch == 0, bytes)
	if code == nil {
		return nil, nil
	}
	resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	resp.ErrorCode = code.Code
	return resp, nil
}

// checkCommit bounds what groups keep beside their offsets.
func (g *Guard) checkCommit(req *kmsg.OffsetCommitRequest) (kmsg.Response, error) {
	if err := checkGroupName("OffsetCommit", req.Group); err != nil {
		return nil, err
	}
	code := g.usage.commit(req)
	if code == nil {
		return nil, nil
	}
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range req.Topics {
		st := kmsg.NewOffsetCommitResponseTopic()
		st.Topic, st.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			sp := kmsg.NewOffsetCommitResponseTopicPartition()
			sp.Partition, sp.ErrorCode = p.Partition, code.Code
			st.Partitions = append(st.Partitions, sp)
		}
		resp.Topics = append(resp.Topics, st)
	}
	return resp, nil
}

// checkListOffsets bounds what one request may have looked up by time.
func checkListOffsets(req *kmsg.ListOffsetsRequest) error {
	n := 0
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			if p.Timestamp >= 0 || p.Timestamp == -3 { // -3 is the latest time
				n++
			}
		}
	}
	if n > maxTimeLookups {
		return refuse("ListOffsets: %d partitions to look for a time in are over the limit of %d", n, maxTimeLookups)
	}
	return nil
}

func checkGroupName(request, group string) error {
	if len(group) > maxName {
		return refuse("%s: a group's name of %d bytes is over the limit of %d", request, len(group), maxName)
	}
	return nil
}
