// Package kafka makes Kafka clients with the options every role shares, and creates and checks the topics.
//
// It needs Apache Kafka 0.11 or newer, the first with record headers, idempotent producers and DescribeConfigs;
// EnsureTopics checks that. Kafka 2.5 and newer are recommended: before, an idempotent producer cannot go on by
// itself after some errors and its client has to be made anew. Everything works on the embedded broker as well.
package kafka
