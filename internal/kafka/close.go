package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// Close closes a client that reads partitions without a group, and leaves
// nothing of it behind; for such clients use it instead of their own method.
//
// That method stops fetching before it stops the metadata updates. An update that brings the first partitions just
// then starts fetching again, and if an answer is taken in after the last thing the method does, which is to throw
// away what was fetched, it stays in memory for good, up to FetchMaxBytes, with the goroutine that counts fetches
// (franz-go 1.22.2, consumer.guardSessionChange does not look at consumer.kill). A reader whose client goes away as
// soon as it has come meets this once in some thousand times. What is paused is not fetched by anybody.
func Close(cl *kgo.Client) {
	if topics := cl.GetConsumeTopics(); len(topics) > 0 {
		cl.PauseFetchTopics(topics...)
	}
	cl.CloseAllowingRebalance()
}
