package guard

import "github.com/twmb/franz-go/pkg/kmsg"

// Limits of request frames. The decoder takes up to some 200 bytes for one byte
// of an array, so these are also what bounds its memory.
const (
	// maxProduceBytes bounds a produce request; it is Apache Kafka's default.
	maxProduceBytes = 100 << 20
	// maxListBytes bounds requests that name many partitions or topics.
	maxListBytes = 1 << 20
	// maxGroupBytes bounds what a member tells of itself, which the engine keeps for as long as it is a member.
	maxGroupBytes = 128 << 10
)

// api is one kind of request that is served.
type api struct {
	highest int16 // the highest version; clients are told of it
	limit   int32 // of the frame, in bytes
	layout  string
}

// apis lists what clients, consumer groups and the usual tools need; everything else is refused, and not announced,
// so that a client says itself what is missing. Left out are: transactions (nothing here uses them, they are not
// atomic over a kill, and one that is left open stops every read_committed reader); share groups and telemetry (what
// they keep has no bound); SASL, ACLs, quotas and SCRAM users (nothing here is authenticated); messages between
// brokers and moving replicas; the old AlterConfigs (it can set broker options with which the engine does not start
// again); and DeleteRecords (a partition emptied by it starts again at offset 0 after a restart, and offsets
// committed before then hide what is written after).
//
// Produce ends at version 12, the last in which topics go by their names: the
// engine answers two unknown topic ids in one request with a panic.
//
// A layout says what a flexible version looks like on the wire: see layout.
var apis = map[kmsg.Key]api{
	kmsg.Produce: {12, maxProduceBytes, ""}, // walked by checkProduce
	kmsg.Fetch: {18, maxListBytes,
		"4@-14 4 4 4 1 4 4 (s@-12 16@13- (4 4 8 4 8 4)) (s@-12 16@13- *4) s"},
	kmsg.ListOffsets:          {10, maxListBytes, "4 1 (s (4 4 8)) 4@10-"},
	kmsg.Metadata:             {13, maxListBytes, "(16@10- s) 1 1@-10 1"},
	kmsg.OffsetCommit:         {10, maxListBytes, "s 4 s s (s@-9 16@10- (4 8 4 s))"},
	kmsg.OffsetFetch:          {10, maxListBytes, "s@-7 (s *4)@-7 (s s@9- 4@9- (s@-9 16@10- *4))@8- 1@7-"},
	kmsg.FindCoordinator:      {6, maxGroupBytes, "s@-3 1 *s@4-"},
	kmsg.JoinGroup:            {9, maxGroupBytes, "s 4 4 s s s (s s) s@8-"},
	kmsg.Heartbeat:            {4, maxGroupBytes, "s 4 s s"},
	kmsg.LeaveGroup:           {5, maxGroupBytes, "s (s s s@5-)"},
	kmsg.SyncGroup:            {5, maxListBytes, "s 4 s s s@5- s@5- (s s)"},
	kmsg.DescribeGroups:       {6, maxGroupBytes, "*s 1"},
	kmsg.ListGroups:           {5, maxGroupBytes, "*s@4- *s@5-"},
	kmsg.ApiVersions:          {5, maxGroupBytes, "s s s@5- 4@5-"},
	kmsg.CreateTopics:         {7, maxListBytes, "(s 4 2 (4 *4) (s s)) 4 1"},
	kmsg.DeleteTopics:         {6, maxListBytes, "*s@-5 (s 16)@6- 4"},
	kmsg.InitProducerID:       {5, maxGroupBytes, "s 4 8@3- 2@3-"},
	kmsg.OffsetForLeaderEpoch: {4, maxListBytes, "4 (s (4 4 4))"},
	kmsg.DescribeConfigs:      {4, maxGroupBytes, "(1 s *s) 1 1"},
	kmsg.DescribeLogDirs:      {5, maxGroupBytes, "(s *4)"},
	kmsg.CreatePartitions:     {3, maxGroupBytes, "(s 4 (*4)) 4 1"},
	kmsg.DeleteGroups:         {3, maxGroupBytes, "*s"},
	kmsg.IncrementalAlterConfigs: {1, maxGroupBytes,
		"(1 s (s 1 s)) 1"},
	kmsg.OffsetDelete:      {0, maxGroupBytes, ""}, // has no flexible version
	kmsg.DescribeCluster:   {2, maxGroupBytes, "1 1@1- 1@2-"},
	kmsg.DescribeProducers: {0, maxGroupBytes, "(s *4)"},
	kmsg.ConsumerGroupHeartbeat: {1, maxGroupBytes,
		"s s 4 s s 4 *s s@1- s (16 *4)"},
	kmsg.ConsumerGroupDescribe:   {1, maxGroupBytes, "*s 1"},
	kmsg.ListConfigResources:     {1, maxGroupBytes, "*1@1-"},
	kmsg.DescribeTopicPartitions: {0, maxGroupBytes, "(s) 4 ?(s 4)"},
}

// announced takes out of the engine's answer to ApiVersions what is not served.
func announced(resp *kmsg.ApiVersionsResponse) {
	kept := resp.ApiKeys[:0]
	for _, k := range resp.ApiKeys {
		if a, ok := apis[kmsg.Key(k.ApiKey)]; ok {
			k.MaxVersion = min(k.MaxVersion, a.highest)
			kept = append(kept, k)
		}
	}
	resp.ApiKeys = kept
}
