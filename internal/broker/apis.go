package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// allowed reports whether requests of this kind reach the engine. The list is
// what clients, consumer groups and the usual tools need. Left out are: SASL,
// ACLs, quotas and SCRAM users (nothing here is authenticated), messages
// between brokers, moving replicas, the old AlterConfigs (it can set broker
// options with which the engine does not start again), and DeleteRecords (a
// partition emptied by it starts again at offset 0 after a restart, and offsets
// committed before then hide what is written after).
func allowed(key kmsg.Key) bool {
	switch key {
	case kmsg.Produce, kmsg.Fetch, kmsg.ListOffsets, kmsg.Metadata,
		kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.FindCoordinator,
		kmsg.JoinGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.SyncGroup,
		kmsg.DescribeGroups, kmsg.ListGroups, kmsg.ApiVersions,
		kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.InitProducerID,
		kmsg.OffsetForLeaderEpoch, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn,
		kmsg.EndTxn, kmsg.TxnOffsetCommit, kmsg.DescribeConfigs,
		kmsg.DescribeLogDirs, kmsg.CreatePartitions, kmsg.DeleteGroups,
		kmsg.IncrementalAlterConfigs, kmsg.OffsetDelete, kmsg.DescribeCluster,
		kmsg.DescribeProducers, kmsg.DescribeTransactions, kmsg.ListTransactions,
		kmsg.ConsumerGroupHeartbeat, kmsg.ConsumerGroupDescribe,
		kmsg.GetTelemetrySubscriptions, kmsg.PushTelemetry,
		kmsg.ListConfigResources, kmsg.DescribeTopicPartitions,
		kmsg.ShareGroupHeartbeat, kmsg.ShareGroupDescribe, kmsg.ShareFetch,
		kmsg.ShareAcknowledge, kmsg.DescribeShareGroupOffsets,
		kmsg.AlterShareGroupOffsets, kmsg.DeleteShareGroupOffsets:
		return true
	}
	return false
}
