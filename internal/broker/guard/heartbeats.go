package guard

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/pace"
)

// lookEvery is how often an attendant looks: often enough for the shortest session.
const lookEvery = MinSessionTimeout / 3

// attendant keeps members in their groups while they wait for others, and counts what the engine keeps. A member
// that waits for the answer to its JoinGroup or SyncGroup sends no heartbeats. Apache Kafka does not expire it
// meanwhile. The engine does, and then never answers: the client learns of it when the rebalance timeout is over.
// So, as long as the connection is there, the attendant sends the heartbeats.
type attendant struct {
	cluster *kfake.Cluster
	client  *kgo.Client
	guard   *Guard
	rounds  int
}

// Attend looks after the members of groups, and the bounds of what the engine keeps, until
// ctx ends. The engine listens at addr.
func (g *Guard) Attend(ctx context.Context, cluster *kfake.Cluster, addr string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ClientID("tasklane-keeper"))
	if err != nil {
		g.log.Error("members that wait for a rebalance will be expired", "error", err)
		return
	}
	defer client.Close()
	a := attendant{cluster: cluster, client: client, guard: g}
	a.count(ctx)
	pace.Every(ctx, lookEvery, func() {
		a.sendHeartbeats(ctx)
		if a.rounds++; a.rounds%countEvery == 0 {
			a.count(ctx)
		}
	})
}

// sendHeartbeats sends one for every member that waits.
func (a *attendant) sendHeartbeats(ctx context.Context) {
	generations := make(map[string]int32)
	for _, m := range a.guard.conns.waiting() {
		generation, known := generations[m.group]
		if !known {
			info := a.cluster.GroupInfo(m.group)
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
		if _, err := beat.RequestWith(ctx, a.client); err != nil && ctx.Err() == nil {
			a.guard.log.Warn("could not send a heartbeat for a member that waits", "group", m.group, "error", err)
		}
	}
}

// How often the attendant counts what the engine keeps, in rounds, and how many
// rounds are longer than the longest session.
const (
	countEvery  = int(5 * time.Second / lookEvery)
	periodEvery = int(5*time.Minute/lookEvery)/countEvery*countEvery + countEvery
)

// count takes the census of what the engine keeps.
func (a *attendant) count(ctx context.Context) {
	c := census{
		topics: make(map[string]int32), ids: make(map[[16]byte]string),
		kinds: make(map[string]string), members: make(map[string]int),
	}
	a.guard.usage.counting()
	all := kmsg.NewPtrMetadataRequest()
	topics, err := all.RequestWith(ctx, a.client)
	if err != nil {
		return // it is stopping, or answers again in the next round
	}
	for _, t := range topics.Topics {
		if t.Topic != nil {
			c.topics[*t.Topic], c.ids[t.TopicID] = int32(len(t.Partitions)), *t.Topic
		}
	}
	groups, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, a.client)
	if err != nil {
		return
	}
	for _, g := range groups.Groups {
		if ctx.Err() != nil {
			return
		}
		c.kinds[g.Group] = g.GroupType
		if info := a.cluster.GroupInfo(g.Group); info != nil {
			c.members[g.Group] = len(info.Members)
		}
	}
	a.guard.usage.counted(c, a.rounds%periodEvery == 0)
}
