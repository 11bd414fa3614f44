package guard

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// maxTopics bounds all topics together, beside logdir.MaxPartitions.
const maxTopics = 2000

// Bounds of a topic's options.
const (
	maxOptions     = 100
	maxOptionBytes = 1000
	// minSegmentBytes keeps a topic from having a file, which stays open, for every record.
	minSegmentBytes = 128 << 10
)

// checkCreateTopics bounds names, partitions and options, none of which the engine does.
func (g *Guard) checkCreateTopics(req *kmsg.CreateTopicsRequest) (kmsg.Response, error) {
	wanted := make(map[string]int32, len(req.Topics))
	for _, t := range req.Topics {
		if !logdir.IsTopicName(t.Topic) {
			return nil, refuse("CreateTopics: %.40q is no topic name", t.Topic)
		}
		n := int64(max(t.NumPartitions, 0)) + int64(len(t.ReplicaAssignment))
		if t.NumPartitions < 0 && len(t.ReplicaAssignment) == 0 {
			n = defaultPartitions
		}
		wanted[t.Topic] = max(wanted[t.Topic], int32(min(n, logdir.MaxPartitions+1)))
		options := make([]option, len(t.Configs))
		for i, c := range t.Configs {
			options[i] = option{c.Name, c.Value}
		}
		if problem := checkOptions(options); problem != "" {
			return refuseTopics(req, kerr.InvalidConfig, problem), nil
		}
	}
	if problem := g.usage.create(wanted, req.ValidateOnly); problem != "" {
		return refuseTopics(req, kerr.PolicyViolation, problem), nil
	}
	return nil, nil
}

// refuseTopics answers with the same error for all topics.
func refuseTopics(req *kmsg.CreateTopicsRequest, code *kerr.Error, problem string) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	for _, t := range req.Topics {
		st := kmsg.NewCreateTopicsResponseTopic()
		st.Topic, st.ErrorCode, st.ErrorMessage = t.Topic, code.Code, &problem
		resp.Topics = append(resp.Topics, st)
	}
	return resp
}

// checkCreatePartitions bounds the partitions, and keeps topics equal that have to be.
func (g *Guard) checkCreatePartitions(req *kmsg.CreatePartitionsRequest) kmsg.Response {
	wanted := make(map[string]int32, len(req.Topics))
	for _, t := range req.Topics {
		wanted[t.Topic] = max(wanted[t.Topic], t.Count)
	}
	problem := g.usage.grow(wanted, g.coupled, req.ValidateOnly)
	if problem == "" {
		return nil
	}
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	for _, t := range req.Topics {
		st := kmsg.NewCreatePartitionsResponseTopic()
		st.Topic, st.ErrorCode, st.ErrorMessage = t.Topic, kerr.PolicyViolation.Code, &problem
		resp.Topics = append(resp.Topics, st)
	}
	return resp
}

// checkAlterConfigs leaves topics alterable. The broker's own options are not: some values (an interval of 0) end
// the engine at once, and it stores them, so they would also end it at every start. Of groups it takes how long
// their members may be silent.
func (g *Guard) checkAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) (kmsg.Response, error) {
	problem := ""
	for _, r := range req.Resources {
		if r.ResourceType == kmsg.ConfigResourceTypeGroupConfig {
			if p := g.usage.configure(r.ResourceName, r.Configs); problem == "" {
				problem = p
			}
			continue
		}
		if r.ResourceType != kmsg.ConfigResourceTypeTopic {
			return nil, refuse("IncrementalAlterConfigs: options of %s cannot be changed here", r.ResourceType)
		}
		var options []option
		for _, c := range r.Configs {
			if c.Op != kmsg.IncrementalAlterConfigOpDelete {
				options = append(options, option{c.Name, c.Value})
			}
		}
		if problem == "" {
			problem = checkOptions(options)
		}
	}
	if problem == "" {
		return nil, nil
	}
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for _, r := range req.Resources {
		sr := kmsg.NewIncrementalAlterConfigsResponseResource()
		sr.ResourceType, sr.ResourceName = r.ResourceType, r.ResourceName
		sr.ErrorCode, sr.ErrorMessage = kerr.InvalidConfig.Code, &problem
		resp.Resources = append(resp.Resources, sr)
	}
	return resp, nil
}

// option is an option of a topic.
type option struct {
	name  string
	value *string
}

// policies are the values of cleanup.policy.
var policies = []string{"delete", "compact", "compact,delete", "delete,compact"}

// checkOptions says what is wrong with a topic's options, nothing if they can be
// used. The engine takes any name and any text.
func checkOptions(options []option) (problem string) {
	if len(options) > maxOptions {
		return fmt.Sprintf("%d options are over the limit of %d", len(options), maxOptions)
	}
	for _, o := range options {
		if len(o.name) > maxName || o.value != nil && len(*o.value) > maxOptionBytes {
			return fmt.Sprintf("the option %.40q is over %d bytes", o.name, maxOptionBytes)
		}
		if o.value == nil {
			continue
		}
		lowest, highest := int64(-1), int64(1<<62)
		switch o.name {
		case "cleanup.policy":
			if !slices.Contains(policies, *o.value) {
				return "cleanup.policy must be delete, compact, or both with a comma"
			}
			continue
		case "segment.bytes":
			lowest = minSegmentBytes
		case "max.message.bytes":
			lowest, highest = 0, maxProduceBytes
		case "retention.ms", "retention.bytes", "delete.retention.ms", "segment.ms":
		default:
			continue
		}
		if n, err := strconv.ParseInt(*o.value, 10, 64); err != nil || n < lowest || n > highest {
			return fmt.Sprintf("%s must be a number from %d to %d here", o.name, lowest, highest)
		}
	}
	return ""
}
