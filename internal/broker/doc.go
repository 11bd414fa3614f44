// Package broker runs a Kafka broker inside the process, so that one machine
// needs nothing else. It is the engine kfake, by the author of the client
// library, behind a guard, with a lock and with upkeep of its own.
//
// # What it keeps
//
// An acknowledged record has been handed to the operating system. Killing the
// process, at any time, loses none; a few may be there twice, because the engine
// forgets over a kill which batches of a producer it has seen. Group offsets are
// kept the same way. Nothing is synced to disk per write, as with Apache Kafka's
// defaults, and there is no second copy: a power cut or a crash of the kernel
// can take the last seconds. Transactions are not atomic over a kill.
//
// # Time
//
// Every record gets the broker's time, in all topics and whatever
// message.timestamp.type says. See stampBatch for what happens otherwise.
//
// # Upkeep
//
// Retention and compaction run every ten minutes. Retention removes whole
// batches. Compacted topics need retention.ms=-1, since retention applies to
// them too. While a partition is compacted the broker answers nobody.
//
// # Groups
//
// As with Apache Kafka, a member that dies is expelled after its session
// timeout, also while it joins, and one that waits for others is not. The engine
// by itself does neither: see guardedConn.end and keeper.
//
// # The guard
//
// Only loopback addresses are served: there is no SASL and no TLS. Requests are
// checked before the engine sees them, and a connection that sends a malformed
// one is closed; see guard, allowed and checkMeaning. One weakness is left: a
// local program can make the decoder count to four billion with a frame of 20
// bytes, which takes minutes of one core. It ends nothing and blocks nobody
// else. A web page cannot do it: what a browser sends never passes for a frame.
package broker
