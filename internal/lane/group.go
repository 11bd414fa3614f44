package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Protocol is how a lane's group shares the partitions among its members.
type Protocol string

const (
	// ProtocolClassic has a member choose, cooperative-sticky: every Kafka has it.
	ProtocolClassic Protocol = "classic"
	// ProtocolConsumer has the broker choose (KIP-848): Apache Kafka 4.0 or newer.
	ProtocolConsumer Protocol = "consumer"
)

// Validate reports a protocol that does not exist.
func (p Protocol) Validate() error {
	switch p {
	case "", ProtocolClassic, ProtocolConsumer:
		return nil
	}
	return fmt.Errorf("group protocol %q: use %s or %s", string(p), ProtocolClassic, ProtocolConsumer)
}

// ErrInstanceTaken is why a static member ends: another process has joined the
// group as the same instance.
var ErrInstanceTaken = errors.New("another process is in the group as the same instance; give each " +
	"processor a data directory of its own")

// groupOpts are the options of the group's client beyond those of every member.
func (c *Consumer) groupOpts() []kgo.Opt {
	opts := []kgo.Opt{kgo.AdjustFetchOffsetsFn(withoutEpochs)}
	if c.config.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(c.instance()))
	}
	if c.config.Protocol == ProtocolConsumer {
		// The client takes the broker's protocol only with a balancer that the
		// broker has by another name: sticky is its "uniform". Moves are
		// incremental all the same, and sessions are the broker's business.
		return append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}
	return append(opts,
		kgo.Balancers(balancer{kgo.CooperativeStickyBalancer(), c}),
		kgo.SessionTimeout(c.config.SessionTimeout),
		kgo.HeartbeatInterval(min(heartbeatInterval, c.config.SessionTimeout/3)),
	)
}

// heartbeatInterval is how long a member may go without a word from the group.
// Members hear of a rebalance with a heartbeat's answer, so it is what a take-over
// takes beyond the session timeout.
const heartbeatInterval = time.Second

// instance is the static member's name in the group.
func (c *Consumer) instance() string { return c.config.InstanceID + "." + c.config.Lane }

func (c *Consumer) groupName() string { return c.config.Topics.ProcessorGroup(c.config.Lane) }

// stepOut says that a static member will be back, when the broker shares out the
// partitions. The client (franz-go 1.22.2) does so without the instance's name,
// which Apache Kafka refuses, and then nobody gets in under that name until the
// session has ended. So it is said again, in full. By the classic protocol a
// static member goes without a word.
func (c *Consumer) stepOut() {
	if c.config.InstanceID == "" || c.config.Protocol != ProtocolConsumer {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	member, _ := c.client.GroupMetadata()
	err := c.client.LeaveGroupContext(ctx)
	if errors.Is(err, kerr.InvalidRequest) {
		err = c.sayBack(ctx, member)
	}
	if err != nil && !errors.Is(err, kerr.FencedInstanceID) { // another process has the place
		c.log.Warn("leave group for a while: the place is kept until the session ends, and nobody gets in before", "error",
			err)
	}
}

// comesBack is the member epoch of a static member that leaves for a while.
const comesBack = -2

func (c *Consumer) sayBack(ctx context.Context, member string) error {
	request := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	request.Group, request.MemberID, request.MemberEpoch = c.groupName(), member, comesBack
	request.InstanceID = kmsg.StringPtr(c.instance())
	response, err := request.RequestWith(ctx, c.client)
	if err != nil {
		return fmt.Errorf("send heartbeat: %w", err)
	}
	return kerr.ErrorForCode(response.ErrorCode) //nolint:wrapcheck // the caller logs it
}

// checkProtocol refuses a broker without KIP-848: the client would fall back to
// the classic protocol, with a balancer that takes everything from everybody at
// every rebalance. A broker may list the requests and still have the protocol
// switched off, so one that changes nothing is tried.
func (c *Consumer) checkProtocol(ctx context.Context, client *kgo.Client) error {
	if c.config.Protocol != ProtocolConsumer {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	brokers, err := kadm.NewClient(client).ApiVersions(ctx)
	if err != nil {
		return fmt.Errorf("ask brokers for group protocol %s: %w", ProtocolConsumer, err)
	}
	for _, broker := range brokers {
		// Version 1 is that of Apache Kafka 4.0; the client speaks no earlier one.
		if highest, ok := broker.KeyMaxVersion(int16(kmsg.ConsumerGroupHeartbeat)); broker.Err == nil &&
			(!ok || highest < 1) {
			return errNoProtocol
		}
	}
	_, err = c.describe(ctx, client)
	switch {
	case err == nil, errors.Is(err, kerr.GroupIDNotFound):
		return nil
	case errors.Is(err, kerr.UnsupportedVersion):
		return errNoProtocol
	}
	return fmt.Errorf("ask coordinator for group protocol %s: %w", ProtocolConsumer, err)
}

var errNoProtocol = errors.New("the broker does not have the group protocol \"consumer\": " +
	"it needs Apache Kafka 4.0 or newer, with \"consumer\" in group.coordinator.rebalance.protocols and " +
	"the feature group.version at 1; " +
	"or use --group-protocol classic")

// describe asks the coordinator for the group as it is. It changes nothing,
// which a heartbeat of KIP-848 would: an answer carries a new assignment once,
// and the client's own loop would never see it.
func (c *Consumer) describe(ctx context.Context, client *kgo.Client) (*kmsg.ConsumerGroupDescribeResponseGroup, error) {
	request := kmsg.NewPtrConsumerGroupDescribeRequest()
	request.Groups = []string{c.groupName()}
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("describe group: %w", err)
	}
	if len(response.Groups) != 1 {
		return nil, fmt.Errorf("describe group: %d answers for one group", len(response.Groups))
	}
	group := &response.Groups[0]
	return group, kerr.ErrorForCode(group.ErrorCode) //nolint:wrapcheck // the caller tells them apart
}

// owns asks the coordinator whether this member holds a partition right now.
func (c *Consumer) owns(ctx context.Context, member string, partition int32) (bool, error) {
	group, err := c.describe(ctx, c.client)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return hasPartition(group, member, partition), nil
}

// hasPartition reports whether a member's assignment names the partition. The
// group reads one topic.
func hasPartition(group *kmsg.ConsumerGroupDescribeResponseGroup, member string, partition int32) bool {
	for i := range group.Members {
		if group.Members[i].MemberID != member {
			continue
		}
		for _, topic := range group.Members[i].Assignment.TopicPartitions {
			for _, p := range topic.Partitions {
				if p == partition {
					return true
				}
			}
		}
	}
	return false
}
