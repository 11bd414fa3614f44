package broker

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/pace"
)

// keepEvery is how often the keeper looks: often enough for the shortest session.
const keepEvery = minSessionTimeout / 3

// keeper keeps members in their groups while they wait for others. A member
// that waits for the answer to its JoinGroup or SyncGroup sends no heartbeats.
// Apache Kafka does not expire it meanwhile. The engine does, and then never
// answers: the client learns of it when the rebalance timeout is over. So, as
// long as the connection is there, the keeper sends the heartbeats.
type keeper struct {
	cluster *kfake.Cluster
	conns   *conns
	addr    string
	log     *slog.Logger
}

// run keeps members until ctx ends.
func (k *keeper) run(ctx context.Context) {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addr), kgo.ClientID("tasklane-keeper"))
	if err != nil {
		k.log.Error("members that wait for a rebalance will be expired", "error", err)
		return
	}
	defer client.Close()
	pace.Every(ctx, keepEvery, func() { k.keep(ctx, client) })
}

// keep sends one heartbeat for every member that waits.
func (k *keeper) keep(ctx context.Context, client *kgo.Client) {
	generations := make(map[string]int32)
	for _, m := range k.conns.waiting() {
		generation, known := generations[m.group]
		if !known {
			info := k.cluster.GroupInfo(m.group)
			if info == nil {
				continue
			}
			generation = info.Epoch
			generations[m.group] = generation
		}
		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Group, beat.MemberID, beat.Generation = m.group, m.id, generation
		// What the answer says does not matter: a generation may have begun since,
		// and then the member has been answered.
		if _, err := beat.RequestWith(ctx, client); err != nil && ctx.Err() == nil {
			k.log.Warn("could not send a heartbeat for a member that waits", "group", m.group, "error", err)
		}
	}
}
