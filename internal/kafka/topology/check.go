package topology

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
)

// topicOptions are the options of one topic, or why they are not known.
type topicOptions struct {
	values map[string]string
	err    error
}

// describe asks for the options of all topics. A topic that this client may not describe is not an error.
func (e *ensurer) describe(ctx context.Context) (map[string]topicOptions, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range e.names() {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType = kmsg.ConfigResourceTypeTopic
		r.ResourceName = name
		req.Resources = append(req.Resources, r)
	}
	resp, err := req.RequestWith(ctx, e.cl)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	out := make(map[string]topicOptions, len(resp.Resources))
	for _, r := range resp.Resources {
		values := make(map[string]string, len(r.Configs))
		for _, c := range r.Configs {
			if c.Value != nil {
				values[c.Name] = *c.Value
			}
		}
		out[r.ResourceName] = topicOptions{values: values, err: kerr.ErrorForCode(r.ErrorCode)}
	}
	return out, nil
}

// checkOptions lists what makes a topic unusable.
func (e *ensurer) checkOptions(options map[string]topicOptions) []string {
	var bad []string
	for _, s := range e.specs {
		o, ok := options[s.name]
		if !ok || o.err != nil {
			continue // a warning in the report
		}
		if got, ok := o.values[optPolicy]; ok && !samePolicy(got, s.policy) {
			bad = append(bad, fmt.Sprintf("%s has cleanup.policy=%s and needs %s, or records are lost: %s",
				s.name, got, s.policy, alter(s.name, optPolicy, s.policy)))
		}
		if got, ok := o.values[optTimestamps]; ok && s.byTime && got != appendTime {
			bad = append(bad, fmt.Sprintf("%s has message.timestamp.type=%s and needs %s, because readers go by the time at "+
				"which the broker took a record; it could not be set (%v): %s",
				s.name, got, appendTime, e.refused[s.name], alter(s.name, optTimestamps, appendTime)))
		}
	}
	return bad
}

// warnings lists what is usable and not as it should be.
func (s topicSpec) warnings(o topicOptions, known bool, refused error) []string {
	if !known || o.err != nil {
		reason := "the broker did not say"
		if o.err != nil {
			reason = o.err.Error()
		}
		return []string{fmt.Sprintf("the options could not be read, so they are not checked: %s", reason)}
	}
	var out []string
	if got, ok := o.values[optTimestamps]; ok && got != appendTime && !s.byTime {
		out = append(out, fmt.Sprintf("message.timestamp.type=%s takes the senders' word for the time: a record that is "+
			"dated wrongly is deleted too early, or never; "+
			"%s could not be set here (%v): %s", got, appendTime, refused, alter(s.name, optTimestamps, appendTime)))
	}
	want := kafka.MaxMessageBytes(s.name)
	if got, err := strconv.Atoi(o.values[optMaxBytes]); err == nil && got < want {
		out = append(out, fmt.Sprintf("max.message.bytes=%d refuses the largest records: %s",
			got, alter(s.name, optMaxBytes, strconv.Itoa(want))))
	}
	retention, err := strconv.ParseInt(o.values[optRetention], 10, 64)
	if err == nil && s.policy == policyDelete && retention >= 0 && retention < s.retention.Milliseconds() {
		out = append(out, fmt.Sprintf("retention.ms=%d is shorter than the usual %s: work that waits longer is lost",
			retention, s.retention))
	}
	if s.policy == policyCompact && err == nil && retention >= 0 && samePolicy(o.values[optPolicy], policyCompact) {
		out = append(out, fmt.Sprintf("retention.ms=%d is ignored by Apache Kafka and obeyed by the embedded broker: %s",
			retention, alter(s.name, optRetention, "-1")))
	}
	return out
}

// samePolicy compares cleanup policies, which may be written with spaces.
func samePolicy(got, want string) bool { return strings.ReplaceAll(got, " ", "") == want }

// alter is the command that sets an option.
func alter(topic, option, value string) string {
	return fmt.Sprintf("run kafka-configs --alter --topic %s --add-config %s=%s", topic, option, value)
}

// report puts together what is known of the topics.
func (e *ensurer) report(found kadm.TopicDetails, options map[string]topicOptions) Report {
	var r Report
	for _, s := range e.specs {
		detail, ok := found[s.name]
		if !ok && !e.hidden[s.name] {
			continue
		}
		line := TopicReport{Name: s.name, Partitions: len(detail.Partitions), Created: e.created[s.name],
			Stamped: e.stamped[s.name]}
		if options != nil {
			o, known := options[s.name]
			line.Warnings = s.warnings(o, known, e.refused[s.name])
		}
		if e.hidden[s.name] {
			line.Partitions = s.partitions
			line.Warnings = []string{"this client may not describe it, so it is not checked: allow it Describe"}
		}
		r.Topics = append(r.Topics, line)
	}
	return r
}
