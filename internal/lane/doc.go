// Package lane connects a lane's shards to Kafka. A [Consumer] is a member of the lane's
// group: it holds a shard ([OwnedShard], around a [shard.Shard]) for each partition that it is
// assigned, feeds it with the lane's records and with its two logs, and commits what it
// has finished. An [Appender] writes journal, waiting log and dead letters for all lanes
// of a process. What runs the tasks is a [Runner].
//
// Nothing here decides what counts, or what becomes of a task: the shard does, and all
// its calls happen under the lock of its [OwnedShard]. What the shard wants of Kafka goes
// through its port (owned_shard.go), whose answers come back later.
package lane
