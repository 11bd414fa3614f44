package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberName begins the client id of every member of our groups.
const memberName = "tasklane"

// GroupMember is the option by which a group's member is known as ours.
func GroupMember() kgo.Opt { return kgo.ClientID(memberName) }

// lookEvery is the time between two looks at a group.
const lookEvery = 15 * time.Second

// Foreigner is a member of one of our groups that is not ours: another program that
// uses the group's name. The group gives it partitions, which stand still then.
type Foreigner struct {
	ClientID   string
	Host       string
	Partitions int
}

// GroupWatch tells of foreigners in a group.
type GroupWatch struct {
	Client *kgo.Client
	Group  string
	// Consumer says that the broker shares the partitions (KIP-848).
	Consumer bool
	Log      *slog.Logger
	// Every is the time between two looks; 15 s if it is 0.
	Every time.Duration

	found, ours atomic.Int64
}

// Found is how many there were at the last look.
func (w *GroupWatch) Found() int { return int(w.found.Load()) }

// Ours is how many members were ours at the last look.
func (w *GroupWatch) Ours() int { return int(w.ours.Load()) }

// Run looks until the context ends. A look that fails is left out: whoever is in a
// group hears of what is wrong with it otherwise.
func (w *GroupWatch) Run(ctx context.Context) {
	every := w.Every
	if every == 0 {
		every = lookEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if all, err := w.look(ctx); err == nil {
			w.tell(all)
		} else {
			w.Log.Debug("look at the members of a group", "group", w.Group, "error", err)
		}
	}
}

func (w *GroupWatch) tell(all []Foreigner) {
	w.found.Store(int64(len(all)))
	for _, f := range all {
		w.Log.Warn("a program that is not Tasklane is a member of a group of ours; the partitions that it is given stand "+
			"still. Stop it, or give it another group",
			"group", w.Group, "client_id", f.ClientID, "host", f.Host, "partitions", f.Partitions)
	}
}

// look asks the coordinator for the members.
func (w *GroupWatch) look(ctx context.Context) ([]Foreigner, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if w.Consumer {
		return w.lookConsumer(ctx)
	}
	described, err := kadm.NewClient(w.Client).DescribeGroups(ctx, w.Group)
	if err != nil {
		return nil, fmt.Errorf("describe group: %w", err)
	}
	group := described[w.Group]
	if group.Err != nil {
		return nil, fmt.Errorf("describe group: %w", group.Err)
	}
	var all []Foreigner
	ours := int64(0)
	for i := range group.Members {
		m := &group.Members[i]
		if m.ClientID == memberName {
			ours++
			continue
		}
		f := Foreigner{ClientID: m.ClientID, Host: m.ClientHost}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, topic := range assigned.Topics {
				f.Partitions += len(topic.Partitions)
			}
		}
		all = append(all, f)
	}
	w.ours.Store(ours)
	return all, nil
}

func (w *GroupWatch) lookConsumer(ctx context.Context) ([]Foreigner, error) {
	request := kmsg.NewPtrConsumerGroupDescribeRequest()
	request.Groups = []string{w.Group}
	response, err := request.RequestWith(ctx, w.Client)
	if err != nil {
		return nil, fmt.Errorf("describe group: %w", err)
	}
	var all []Foreigner
	ours := int64(0)
	for i := range response.Groups {
		group := &response.Groups[i]
		if err := kerr.ErrorForCode(group.ErrorCode); err != nil {
			return nil, fmt.Errorf("describe group: %w", err)
		}
		for j := range group.Members {
			m := &group.Members[j]
			if m.ClientID == memberName {
				ours++
				continue
			}
			f := Foreigner{ClientID: m.ClientID, Host: m.ClientHost}
			for _, topic := range m.Assignment.TopicPartitions {
				f.Partitions += len(topic.Partitions)
			}
			all = append(all, f)
		}
	}
	w.ours.Store(ours)
	return all, nil
}
