// Package processor runs tasks: it consumes lanes as a member of their consumer
// groups, gives every task to the service it names, and writes what happens to
// the shard's journal. Services register handlers ([Service], [Registry]) and
// speak to the task's user through [Context].
package processor
