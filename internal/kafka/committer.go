package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Place is what a commit says of a partition.
type Place struct {
	Offset int64
	// LeaderEpoch is that of the records before the offset, -1 if it is not kept.
	LeaderEpoch int32
	Metadata    string
}

// Answers is what the coordinator says of a commit: an error, or nil, by partition.
type Answers map[int32]error

// Committer commits a group member's places in a topic, one commit at a time: a
// late one can never rewind a newer one. It is used by one goroutine at a time.
type Committer struct {
	client *kgo.Client
	topic  string
	// underWay is closed when the commit under way has ended; nil without one.
	underWay chan struct{}
}

// NewCommitter is one of a member's client.
func NewCommitter(member *kgo.Client, topic string) *Committer {
	return &Committer{client: member, topic: topic}
}

// Settle waits for the commit that is under way; false if it still is when ctx ends. kgo may wait long beyond that
// for a broker that does not answer (franz-go 1.22.2): whoever gives partitions up or stops goes on without it.
func (c *Committer) Settle(ctx context.Context) bool {
	if c.underWay == nil {
		return true
	}
	select {
	case <-c.underWay:
		c.underWay = nil
		return true
	case <-ctx.Done():
		return false
	}
}

// Commit commits places by partition, after the commit before has settled, and settles. answered gets the answers,
// or why there are none; it has been called if Commit returns true, and may be called later if not.
func (c *Committer) Commit(ctx context.Context, places map[int32]Place, answered func(Answers, error)) bool {
	done := make(chan struct{})
	c.underWay = done
	go func() {
		defer close(done)
		c.commit(ctx, places, answered)
	}()
	return c.Settle(ctx)
}

func (c *Committer) commit(ctx context.Context, places map[int32]Place, answered func(Answers, error)) {
	offsets := make(map[int32]kgo.EpochOffset, len(places))
	for partition, place := range places {
		offsets[partition] = kgo.EpochOffset{Epoch: place.LeaderEpoch, Offset: place.Offset}
	}
	ctx = kgo.PreCommitFnContext(ctx, func(request *kmsg.OffsetCommitRequest) error {
		addMetadata(request, places)
		return nil
	})
	c.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{c.topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				answered(nil, err)
				return
			}
			answered(answersOf(response), nil)
		})
}

func addMetadata(request *kmsg.OffsetCommitRequest, places map[int32]Place) {
	for i := range request.Topics {
		for j := range request.Topics[i].Partitions {
			p := &request.Topics[i].Partitions[j]
			metadata := places[p.Partition].Metadata
			p.Metadata = &metadata
		}
	}
}

func answersOf(response *kmsg.OffsetCommitResponse) Answers {
	answers := Answers{}
	for _, topic := range response.Topics {
		for _, p := range topic.Partitions {
			answers[p.Partition] = kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return answers
}
