// Package broker runs a Kafka broker inside the process, so that one machine needs nothing else. It is the engine
// kfake, by the author of the client library, behind a guard, with a lock and with upkeep of its own.
//
// # What it keeps
//
// An acknowledged record has been handed to the operating system. Killing the process, at any time, loses none; a
// few may be there twice, because the engine forgets over a kill which batches of a producer it has seen. Group
// offsets are kept the same way. Nothing is synced to disk per write, as with Apache Kafka's defaults, and there is
// no second copy: a power cut or a crash of the kernel can take the last seconds. There are no transactions.
//
// # Time
//
// Every record gets the broker's time, in all topics and whatever
// message.timestamp.type says. See stampBatch in package guard for what happens otherwise.
//
// # Upkeep
//
// Retention and compaction run every ten minutes. Retention removes whole batches. Compacted topics need
// retention.ms=-1, since retention applies to them too. While a partition is compacted the broker answers nobody.
//
// # Groups
//
// As with Apache Kafka, a member that dies is expelled after its session timeout, also while it joins, and one that
// waits for others is not. The engine by itself does neither: package guard does.
//
// # The guard
//
// Only loopback addresses are served: there is no SASL and no TLS. Requests are checked before the engine sees them.
// One that is harmful is answered with an error where a client understands it; otherwise its connection is closed:
// see package guard. A web page cannot do any harm: what a browser sends never passes for a frame.
//
// # Bounds
//
// 1,024 connections; 128 MiB of requests on their way in and as much of answers on their way out; 2,000 topics with
// 20,000 partitions; 2,000 groups with 5,000 members, 50,000 committed offsets and 8 MiB of text beside them;
// 100,000 partitions of idempotent producers, above which what a producer sends twice is stored twice. A fetch is
// answered with 8 MiB and after 30 s at most.
//
// # Damage
//
// What is damaged on the disk is named in the log and read around, and offsets are
// never used twice: see package damage. An error says what to do where that cannot be.
package broker
