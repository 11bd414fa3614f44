package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/security"
)

// DeniedError lists what the brokers do not allow a client that needs it.
type DeniedError struct {
	// Principal is who the client is to the brokers, as far as it knows.
	Principal string
	Brokers   string
	Lacks     []Need
}

// Error has a command for each.
func (e *DeniedError) Error() string {
	lines := make([]string, len(e.Lacks))
	for i, n := range e.Lacks {
		lines[i] = fmt.Sprintf("%s of %s is not allowed: run kafka-acls --bootstrap-server %s --add "+
			"--allow-principal '%s' %s",
			n.operation(), n.resource(), e.Brokers, e.Principal, n.flags())
	}
	return fmt.Sprintf("the brokers do not allow %s what it needs: %s", e.Principal, strings.Join(lines, "; "))
}

// operation is its name for kafka-acls.
func (n Need) operation() string {
	switch n.Operation {
	case kmsg.ACLOperationRead:
		return "Read"
	case kmsg.ACLOperationWrite:
		return "Write"
	case kmsg.ACLOperationCreate:
		return "Create"
	}
	return "Describe"
}

func (n Need) resource() string {
	if n.Group != "" {
		return "group " + n.Group
	}
	return "topic " + n.Topic
}

// flags are those of kafka-acls.
func (n Need) flags() string {
	if n.Group != "" {
		return "--operation " + n.operation() + " --group " + n.Group
	}
	return "--operation " + n.operation() + " --topic " + n.Topic
}

// CheckAccess asks the brokers whether a client that was made with that security
// is allowed what it needs. The error is a *DeniedError if not. Topics that do not
// exist are not judged, nor is anything by brokers that do not tell (before 2.3).
func CheckAccess(ctx context.Context, cl *kgo.Client, s *security.Security, needs []Need) error {
	topics, err := allowed(ctx, cl, topicNames(needs))
	if err != nil {
		return err
	}
	denied := &DeniedError{Principal: s.Principal(), Brokers: strings.ReplaceAll(kafka.Seeds(cl), " ", "")}
	for _, n := range needs {
		lacks := n.Group == "" && !topics[n.Topic].has(n.Operation)
		if n.Group != "" {
			if lacks, err = n.lacksGroup(ctx, cl); err != nil {
				return err
			}
		}
		if lacks {
			denied.Lacks = append(denied.Lacks, n)
		}
	}
	if len(denied.Lacks) == 0 {
		return nil
	}
	return denied
}

// operations is a set of operations as brokers tell it: a bit for each.
type operations int32

// unknown is what brokers say that do not tell.
const unknown operations = -1 << 31

func (o operations) has(operation kmsg.ACLOperation) bool {
	return o == unknown || o&(1<<operation) != 0
}

// allowed is what may be done with topics.
func allowed(ctx context.Context, cl *kgo.Client, topics []string) (map[string]operations, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.IncludeTopicAuthorizedOperations = true
	for _, name := range topics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("ask what is allowed: %w", err)
	}
	found := make(map[string]operations, len(topics))
	for _, topic := range resp.Topics {
		if topic.Topic == nil {
			continue
		}
		switch err := kerr.ErrorForCode(topic.ErrorCode); {
		case err == nil:
			found[*topic.Topic] = operations(topic.AuthorizedOperations)
		case !errors.Is(err, kerr.TopicAuthorizationFailed):
			found[*topic.Topic] = unknown
		}
	}
	return found, nil
}

// lacksGroup asks for the group's commits, to which Describe is enough, or with the heartbeat of a member that does
// not exist, which needs Read. Neither changes anything: brokers look at the ACL first.
func (n Need) lacksGroup(ctx context.Context, cl *kgo.Client) (bool, error) {
	var err error
	if n.Operation == kmsg.ACLOperationDescribe {
		_, err = kadm.NewClient(cl).FetchOffsets(ctx, n.Group)
	} else {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID, req.Generation = n.Group, "access-check", -1
		var resp *kmsg.HeartbeatResponse
		if resp, err = req.RequestWith(ctx, cl); err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
	}
	var answered *kerr.Error
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return true, nil
	case err == nil, errors.As(err, &answered):
		return false, nil
	}
	return false, fmt.Errorf("ask what is allowed of group %s: %w", n.Group, err)
}
