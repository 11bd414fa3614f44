package topology

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// requirement is a request version that the product cannot do without.
type requirement struct {
	key     kmsg.Key
	version int16
	reason  string
}

// requirements are all met by Apache Kafka 0.11 and nothing older.
func requirements() []requirement {
	return []requirement{
		{kmsg.Produce, 3, "record headers"},
		{kmsg.Fetch, 4, "read_committed"},
		{kmsg.ListOffsets, 1, "offsets by time"},
		{kmsg.OffsetCommit, 2, "offsets with metadata"},
		{kmsg.InitProducerID, 0, "idempotent producers"},
		{kmsg.DescribeConfigs, 0, "checking topics"},
	}
}

// checkVersions refuses a cluster with a broker that is too old.
func checkVersions(ctx context.Context, adm *kadm.Client) error {
	brokers, err := adm.ApiVersions(ctx)
	if err != nil {
		return fmt.Errorf("ask brokers for their versions: %w", err)
	}
	for id, broker := range brokers {
		if broker.Err != nil {
			continue // down for the moment; the cluster answers without it
		}
		for _, r := range requirements() {
			if highest, ok := broker.KeyMaxVersion(int16(r.key)); !ok || highest < r.version {
				return fmt.Errorf("broker %d is too old: %s needs %s version %d; use Apache Kafka 2.5 or newer (0.11 at least)",
					id, r.reason, r.key.Name(), r.version)
			}
		}
	}
	return nil
}
