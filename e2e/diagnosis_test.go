package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// diagnosed is how many of the tasks that did not end are looked at closely.
const diagnosed = 8

// diagnose says of tasks ("user/task") that were accepted and have not ended what can be found out: how they were
// accepted, what the API says of them, where their records stand, what of their events counts, what a second reader
// of the log counts, and how the groups stand. A failure that took a minute's freeze to make must tell its cause.
func (l *load) diagnose(b *logbook, missing []string) string {
	slices.Sort(missing)
	var s strings.Builder
	fmt.Fprintf(&s, "%d of %d accepted tasks have not ended", len(missing), len(l.accepted))
	if len(missing) > diagnosed {
		fmt.Fprintf(&s, ", a few of them:")
		missing = missing[:diagnosed]
	}
	records := b.records(l.lanes()...)
	again := read(b.t, b.installation)
	again.waits(5*time.Second, func() bool { return len(again.unended(missing)) == 0 })
	for _, key := range missing {
		user, id, _ := strings.Cut(key, "/")
		fmt.Fprintf(&s, "\n%s\n\taccepted: %s\n\trecords: %s\n\tcounted: %s\n\tcounted by a second reader: %s\n\tthe API: %s",
			key, l.answers[key], orNone(records[key]), orNone(b.history(key)), orNone(again.history(key)), l.api.says(user, id))
	}
	return s.String() + "\n" + b.groups(l.lanes()...)
}

// lanes are those that tasks are submitted to.
func (l *load) lanes() []string { return []string{"fast", "heavy"} }

// says is the API's own answer about a task.
func (a *api) says(user, id string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	status, answer, err := a.call(ctx, "GET", "/v1/tasks/"+id+"?user_id="+user, nil)
	if err != nil {
		return err.Error()
	}
	text, _ := json.Marshal(answer)
	return fmt.Sprintf("%d %.600s", status, text)
}

func orNone(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// history is what counts of a task's events, with the shard and the time of each.
func (b *logbook) history(task string) (events []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, all := range b.tasks {
		shard, of := strings.CutPrefix(key, task+"/")
		if !of {
			continue
		}
		for _, e := range all {
			events = append(events, fmt.Sprintf("%s %s %s attempt %d %s %s by %s", shard, e.Kind, e.Status, e.Attempt,
				e.ErrorCode, e.at.Format(time.TimeOnly), e.EventID))
		}
	}
	return events
}

// unended are those of tasks that have no end here. The caller holds mu.
func (b *logbook) unended(tasks []string) (unended []string) {
	for _, key := range tasks {
		user, id, _ := strings.Cut(key, "/")
		if _, ended := b.ended(user, id); !ended {
			unended = append(unended, key)
		}
	}
	return unended
}

// records is where on the lanes the records of each task stand.
func (b *logbook) records(lanes ...string) map[string][]string {
	found := map[string][]string{}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var topics []string
	for _, lane := range lanes {
		topics = append(topics, b.installation.prefix+"tasks."+lane)
	}
	ends, err := kadm.NewClient(b.client).ListEndOffsets(ctx, topics...)
	if err != nil {
		b.t.Logf("the lanes cannot be read: %v", err)
		return found
	}
	left := map[string]map[int32]kgo.Offset{}
	count := 0
	ends.Each(func(o kadm.ListedOffset) {
		if left[o.Topic] == nil {
			left[o.Topic] = map[int32]kgo.Offset{}
		}
		if o.Offset > 0 {
			left[o.Topic][o.Partition] = kgo.NewOffset().AtStart()
			count++
		}
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(b.installation.seeds()...), kgo.ConsumePartitions(left),
		kgo.KeepControlRecords(), kgo.DisableClientMetrics())
	if err != nil {
		b.t.Logf("the lanes cannot be read: %v", err)
		return found
	}
	defer client.Close()
	for count > 0 && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			var task struct {
				UserID string `json:"user_id"`
				TaskID string `json:"task_id"`
			}
			_ = json.Unmarshal(r.Value, &task) // what is no task has no name
			key := task.UserID + "/" + task.TaskID
			found[key] = append(found[key], fmt.Sprintf("%s/%d at %d, %s", r.Topic, r.Partition, r.Offset,
				r.Timestamp.Format(time.TimeOnly)))
			if end, _ := ends.Lookup(r.Topic, r.Partition); r.Offset == end.Offset-1 {
				count--
			}
		})
	}
	if count > 0 {
		b.t.Logf("the ends of %d partitions of the lanes were not reached", count)
	}
	return found
}

// groups says how the groups of lanes stand, where the shards' commits lie behind the ends of the lanes, and how far
// the journal was read.
func (b *logbook) groups(lanes ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	admin, prefix := kadm.NewClient(b.client), b.installation.prefix
	var s strings.Builder
	for _, lane := range lanes {
		group, topic := prefix+"tasklane.processor."+lane, prefix+"tasks."+lane
		described, err := admin.DescribeGroups(ctx, group)
		fmt.Fprintf(&s, "group %s: %s, error %v\n", group, described[group].State, err)
		for _, m := range described[group].Members {
			assigned := "no assignment"
			if a, ok := m.Assigned.AsConsumer(); ok {
				assigned = fmt.Sprint(a.Topics)
			}
			fmt.Fprintf(&s, "\tmember %s of %s: %s\n", m.MemberID, m.ClientHost, assigned)
		}
		commits, commitErr := admin.FetchOffsets(ctx, group)
		ends, err := admin.ListEndOffsets(ctx, topic)
		if err != nil || commitErr != nil {
			fmt.Fprintf(&s, "\tcommits and ends: %v, %v\n", commitErr, err)
			continue
		}
		ends.Each(func(end kadm.ListedOffset) {
			if commit, _ := commits.Lookup(topic, end.Partition); commit.At < end.Offset {
				fmt.Fprintf(&s, "\t%s/%d: committed up to %d with %s, ends at %d\n", topic, end.Partition, commit.At,
					commit.Metadata, end.Offset)
			}
		})
	}
	ends, err := admin.ListEndOffsets(ctx, prefix+"task-events")
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(&s, "journal, error %v:", err)
	ends.Each(func(end kadm.ListedOffset) {
		fmt.Fprintf(&s, " %d read to %d of %d;", end.Partition, b.next[end.Partition], end.Offset)
	})
	return s.String()
}

// TestDiagnosis: what a failed wait says names the task, its record, its events, what the API knows and who has its
// lane.
func TestDiagnosis(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	l := &load{api: newAPI(t, s.api), accepted: []string{"eve/never", "eve/done"}}
	l.submit(t.Context(), "eve", "done")
	book := read(t, i)
	book.end("eve", "done")
	said := l.diagnose(book, []string{"eve/never", "eve/done"})
	for _, want := range []string{
		"2 of 3 accepted tasks have not ended", "eve/never\n\taccepted: \n\trecords: none\n\tcounted: none",
		"the API: 404", "eve/done\n\taccepted: 202 at ", " after 0 other answers",
		"records: " + i.prefix + "tasks.", "state completed attempt 1", "the API: 200 ", `"status":"completed"`,
		"group " + i.prefix + "tasklane.processor.fast: Stable", "group " + i.prefix + "tasklane.processor.heavy: Stable",
		"\tmember ", "journal, error <nil>: ", " 0 read to ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in:\n%s", want, said)
		}
	}
	if at := s.goroutines(); !strings.Contains(at, "internal/lane.(*Consumer)") {
		t.Errorf("the goroutines are:\n%s", at)
	}
}
