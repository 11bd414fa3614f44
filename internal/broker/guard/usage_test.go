package guard

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// wantCode compares what the guard answers with what it should.
func wantCode(t *testing.T, what string, got, want *kerr.Error) {
	t.Helper()
	if !errors.Is(got, want) && (got != nil || want != nil) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestMembersAreBounded over all groups; those who are members already may come back.
func TestMembersAreBounded(t *testing.T) {
	u := newUsage()
	for i := range maxMembers {
		wantCode(t, "a member", u.join(fmt.Sprint("g-", i%10), kindClassic, true, 100), nil)
	}
	wantCode(t, "one too many", u.join("g-1", kindClassic, true, 100), kerr.GroupMaxSizeReached)
	wantCode(t, "one that comes back", u.join("g-1", kindClassic, false, 100), nil)
	wantCode(t, "a group without a name", u.join("", kindClassic, true, 100), nil)
	for range 2 { // two periods later nobody of them is a member, by the census
		u.counting()
		u.counted(census{topics: map[string]int32{}}, true)
	}
	wantCode(t, "after they have gone", u.join("g-1", kindClassic, true, 100), nil)
}

// TestGroupsAreBounded, by their number, and in what they keep beside their offsets.
func TestGroupsAreBounded(t *testing.T) {
	u := newUsage()
	for i := range maxGroups {
		wantCode(t, "a group", u.commit(commitOf(fmt.Sprint("g-", i), 0, "")), nil)
	}
	wantCode(t, "commit of one too many", u.commit(commitOf("more", 0, "")), kerr.PolicyViolation)
	wantCode(t, "join of one too many", u.join("more", kindClassic, true, 10), kerr.PolicyViolation)
	wantCode(t, "a known one", u.commit(commitOf("g-1", 1, "")), nil)
	u.forgetGroups([]string{"g-1", "unknown"})
	wantCode(t, "after one was deleted", u.commit(commitOf("more", 0, "")), nil)
}

func commitOf(group string, partition int32, text string) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = group
	topic, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	topic.Topic, p.Partition, p.Metadata = "tasks", partition, &text
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	return req
}

// TestTextsOfCommitsAreBounded: by the longest, by their sum over all groups; one that
// replaces another counts once.
func TestTextsOfCommitsAreBounded(t *testing.T) {
	u := newUsage()
	longest := strings.Repeat("x", maxCommitMetadata)
	wantCode(t, "one byte too long", u.commit(commitOf("g", 0, longest+"x")), kerr.OffsetMetadataTooLarge)
	for range 10 {
		wantCode(t, "the longest, again", u.commit(commitOf("g", 0, longest)), nil)
	}
	partition := int32(1)
	for sum := maxCommitMetadata; sum+maxCommitMetadata <= maxCommitBytes; sum += maxCommitMetadata {
		wantCode(t, "another", u.commit(commitOf("g", partition, longest)), nil)
		partition++
	}
	wantCode(t, "one too many", u.commit(commitOf("other", 0, longest)), kerr.PolicyViolation)
	wantCode(t, "a shorter one in the place of another", u.commit(commitOf("g", 0, "")), nil)
	wantCode(t, "with the room that it left", u.commit(commitOf("other", 0, longest)), nil)
}

// TestOffsetsAreBounded: by their number.
func TestOffsetsAreBounded(t *testing.T) {
	u := newUsage()
	for partition := range int32(maxCommits) {
		if code := u.commit(commitOf("g", partition, "")); code != nil {
			t.Fatalf("offset %d: %v", partition, code)
		}
	}
	wantCode(t, "one too many", u.commit(commitOf("g", maxCommits, "")), kerr.PolicyViolation)
	wantCode(t, "a known one", u.commit(commitOf("g", 5, "")), nil)
}

// TestKindsOfGroups: one of KIP-848 stays one; a classic one may become one.
func TestKindsOfGroups(t *testing.T) {
	u := newUsage()
	wantCode(t, "a consumer group", u.join("new", kindConsumer, true, 10), nil)
	wantCode(t, "a classic member in it", u.join("new", kindClassic, true, 10), kerr.InconsistentGroupProtocol)
	wantCode(t, "a classic group", u.join("old", kindClassic, true, 10), nil)
	wantCode(t, "that becomes a consumer group", u.join("old", kindConsumer, true, 10), nil)
	u.counting()
	u.counted(census{topics: map[string]int32{}, kinds: map[string]string{"seen": kindConsumer}}, false)
	wantCode(t, "one that the census has seen", u.join("seen", kindClassic, true, 10), kerr.InconsistentGroupProtocol)
}

// TestWhatMembersTellIsBounded: each may be as large as the largest of its group.
func TestWhatMembersTellIsBounded(t *testing.T) {
	u := newUsage()
	const large = 1 << 20
	for range maxMembersBytes/large - 1 {
		wantCode(t, "a member", u.join("g", kindClassic, true, large), nil)
	}
	wantCode(t, "one that is larger, as all may be then", u.join("g", kindClassic, true, large+1), kerr.PolicyViolation)
	wantCode(t, "in another group", u.join("other", kindClassic, true, large+1), kerr.PolicyViolation)
	wantCode(t, "a small one there", u.join("other", kindClassic, true, 10), nil)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.GroupAssignment = "other", []kmsg.SyncGroupRequestGroupAssignment{{MemberID: "m"}}
	if resp := u.sync(sync, 2*large); resp == nil ||
		resp.(*kmsg.SyncGroupResponse).ErrorCode != kerr.PolicyViolation.Code {
		t.Errorf("assignments beyond the bound: %+v", resp)
	}
	if resp := u.sync(sync, 1000); resp != nil {
		t.Errorf("assignments within it: %+v", resp)
	}
	sync.GroupAssignment = nil
	if resp := u.sync(sync, 2*large); resp != nil {
		t.Errorf("a member that is no leader sends none: %+v", resp)
	}
	sync.Group = "unknown"
	if resp := u.sync(sync, 2*large); resp != nil {
		t.Errorf("a group that nobody knows: %+v", resp)
	}
}

// TestTopicsAreBounded whatever is created and grown in whatever order, with censuses in
// between that have not seen the latest yet.
func TestTopicsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := newUsage()
		there := map[string]int32{} // in the engine, which does what it is let do
		total := func() (n int) {
			for _, count := range there {
				n += int(count)
			}
			return n
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			name := fmt.Sprint("t-", rapid.IntRange(0, 5).Draw(t, "topic"))
			n := rapid.Int32Range(1, logdir.MaxPartitions/3).Draw(t, "partitions")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				if u.create(map[string]int32{name: n}, false) == "" && there[name] == 0 {
					there[name] = n
				}
			case 1:
				if u.grow(map[string]int32{name: n}, nil, false) == "" && there[name] > 0 {
					there[name] = max(there[name], n)
				}
			case 2:
				u.counting()
				u.counted(census{topics: maps.Clone(there)}, false)
			case 3:
				before := u.names()
				u.create(map[string]int32{name: n}, true)
				u.grow(map[string]int32{name: n}, nil, true)
				if after := u.names(); !slices.Equal(before, after) {
					t.Fatalf("a question changed the topics from %q to %q", before, after)
				}
			}
			if total() > logdir.MaxPartitions {
				t.Fatalf("there are %d partitions: %v", total(), there)
			}
		}
	})
	u := newUsage()
	for i := range maxTopics {
		if problem := u.create(map[string]int32{fmt.Sprint("t-", i): 1}, false); problem != "" {
			t.Fatal(problem)
		}
	}
	if problem := u.create(map[string]int32{"more": 1}, false); !strings.Contains(problem, fmt.Sprint(maxTopics)) {
		t.Errorf("one topic too many: %q", problem)
	}
}

// TestCoupledTopicsGrowTogether.
func TestCoupledTopicsGrowTogether(t *testing.T) {
	coupled := []string{"a", "b", "not there"}
	u := newUsage()
	u.create(map[string]int32{"a": 2, "b": 2, "other": 2}, false)
	for name, test := range map[string]struct {
		wanted map[string]int32
		taken  bool
	}{
		"one of them":           {map[string]int32{"a": 3}, false},
		"another":               {map[string]int32{"other": 5}, true},
		"both":                  {map[string]int32{"a": 3, "b": 3}, true},
		"both, to other counts": {map[string]int32{"a": 5, "b": 6}, false},
		"to what it has":        {map[string]int32{"a": 2}, true},
	} {
		if problem := u.grow(test.wanted, coupled, true); (problem == "") != test.taken {
			t.Errorf("%s: %q", name, problem)
		}
	}
}

// TestFetchesOfWhatExists: by names up to version 12, by ids from 13 on.
func TestFetchesOfWhatExists(t *testing.T) {
	u := newUsage()
	id := [16]byte{9}
	u.counting()
	u.counted(census{topics: map[string]int32{"t": 2}, ids: map[[16]byte]string{id: "t"}}, false)
	for name, test := range map[string]struct {
		version   int16
		topic     string
		id        [16]byte
		partition int32
		known     bool
	}{
		"by name":                      {12, "t", [16]byte{}, 1, true},
		"by id":                        {13, "", id, 1, true},
		"a partition too many":         {12, "t", [16]byte{}, 2, false},
		"a negative one":               {13, "", id, -1, false},
		"another name":                 {12, "u", [16]byte{}, 0, false},
		"another id":                   {13, "", [16]byte{8}, 0, false},
		"a name where an id has to be": {13, "t", [16]byte{}, 0, false},
		"an id where a name has to be": {12, "", id, 0, false},
	} {
		req := kmsg.NewPtrFetchRequest()
		req.Version = test.version
		topic, p := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		topic.Topic, topic.TopicID, p.Partition = test.topic, test.id, test.partition
		topic.Partitions = append(topic.Partitions, p)
		req.Topics = append(req.Topics, topic)
		if got := u.knows(req); got != test.known {
			t.Errorf("%s: known %t, want %t", name, got, test.known)
		}
	}
	resp := kmsg.NewFetchResponseTopic()
	resp.TopicID = id
	if got := u.nameOf(&resp); got != "t" {
		t.Errorf("the topic of that id is %q", got)
	}
	if resp.Topic = "named"; u.nameOf(&resp) != "named" {
		t.Error("a name in the answer is not taken")
	}
}
