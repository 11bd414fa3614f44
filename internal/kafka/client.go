package kafka

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bounds on what one client takes in. Together they keep what is fetched and not yet polled under FetchMaxBytes *
// MaxConcurrentFetches = 64 MiB, more only by what compression has saved.
const (
	// FetchMaxBytes bounds the answer to one fetch.
	FetchMaxBytes = 8 << 20
	// FetchMaxPartitionBytes bounds one partition's part of it, so that a partition with a backlog leaves room for
	// the others. A single larger record still comes through.
	FetchMaxPartitionBytes = 2 << 20
	// MaxConcurrentFetches bounds the fetches under way or waiting to be polled.
	MaxConcurrentFetches = 8
	// MaxDecompressBytes bounds what one compressed batch may unfold to. Beyond
	// it the partition stops with kgo.ErrMaxDecompress until the reader is set
	// past the batch. The embedded broker refuses such batches at the door.
	MaxDecompressBytes = 64 << 20
	// maxReadBytes bounds any answer.
	maxReadBytes = 32 << 20
)

// FetchMaxWait is how long the broker holds a fetch for which there is nothing. Records end the wait, but a
// partition that a reader takes up, or a topic that is new, is fetched only after the fetch that is under way: kgo's
// own 5 s would be the delay of the first event then.
const FetchMaxWait = 250 * time.Millisecond

const (
	// requestTimeout is how long a request other than produce and fetch is
	// tried again before its caller gets the error.
	requestTimeout = 10 * time.Second
	// groupTimeout is the same for joining a group, which waits for all members.
	groupTimeout = 60 * time.Second
	// maxBackoff is short, since a restarted broker is back within seconds and
	// a caller's own deadline is what bounds the retries.
	minBackoff = 50 * time.Millisecond
	maxBackoff = time.Second
	// metadataMaxAge is after how long a client that has no reason to looks at the
	// cluster again all the same, and so sees partitions that were added.
	metadataMaxAge = 5 * time.Second
)

// NewClient makes a client with the common options and then opts, which win. It
// does not connect. The caller closes the client.
//
// Consumers are read_committed and topics are never created by accident. While no broker
// answers, requests fail after about 10 s or when their context ends; produced
// records stay buffered, so give those a context or a delivery timeout.
func NewClient(c Config, opts ...kgo.Opt) (*kgo.Client, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("check Kafka options: %w", err)
	}
	cl, err := kgo.NewClient(append(c.common(), opts...)...)
	if err != nil {
		return nil, fmt.Errorf("make Kafka client: %w", err)
	}
	return cl, nil
}

// common are the options of every client.
func (c Config) common() []kgo.Opt {
	minAge := c.MetadataMinAge
	if minAge == 0 {
		minAge = DefaultMetadataMinAge
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.WithLogger(newClientLogger(c.Logger)),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(FetchMaxBytes),
		kgo.FetchMaxPartitionBytes(FetchMaxPartitionBytes),
		kgo.FetchMaxWait(FetchMaxWait),
		kgo.MaxConcurrentFetches(MaxConcurrentFetches),
		kgo.MaxDecompressBatchBytes(MaxDecompressBytes),
		kgo.BrokerMaxReadBytes(maxReadBytes),
		kgo.MetadataMinAge(minAge),
		kgo.MetadataMaxAge(metadataMaxAge),
		kgo.RetryTimeoutFn(retryTimeout),
		kgo.RetryBackoffFn(backoff),
		// By default a connection that ends before its first answer is taken for a wrong setting of TLS or SASL and
		// is not tried again: a broker's restart would cost a group's member all its partitions. Wrong settings are
		// found by Reach, at the start.
		kgo.AlwaysRetryEOF(),
		// What the client does is in the product's own metrics.
		kgo.DisableClientMetrics(),
	}
	if c.ClientID != "" {
		opts = append(opts, kgo.ClientID(c.ClientID))
	}
	return append(opts, c.Security.Options(c.Dialer)...)
}

// retryTimeout is how long a request of this kind is retried.
func retryTimeout(key int16) time.Duration {
	switch kmsg.Key(key) {
	case kmsg.JoinGroup, kmsg.SyncGroup:
		return groupTimeout
	}
	return requestTimeout
}

// backoff doubles from minBackoff to maxBackoff, less up to a fifth so that
// clients that lost the same broker do not come back together.
func backoff(tries int) time.Duration {
	wait := maxBackoff
	if tries < 10 {
		wait = min(minBackoff<<max(tries-1, 0), maxBackoff)
	}
	return wait - rand.N(wait/5+1)
}
