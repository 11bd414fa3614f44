package guard_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// TestOnlyWhatIsServedIsAnnounced: so a client says itself what is missing.
func TestOnlyWhatIsServedIsAnnounced(t *testing.T) {
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
	for version := range int16(6) {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1"
		resp, err := req.RequestWith(t.Context(), kafkatest.Client(t, addr))
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[int16]int16)
		for _, k := range resp.ApiKeys {
			got[k.ApiKey] = k.MaxVersion
		}
		if got[0] != 12 || got[1] < 13 || got[3] < 12 {
			t.Errorf("version %d: announced %v", version, got)
		}
		for _, key := range []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.EndTxn, kmsg.DeleteRecords, kmsg.ShareFetch,
			kmsg.SASLHandshake} {
			if _, ok := got[int16(key)]; ok {
				t.Errorf("%s is announced", key.Name())
			}
		}
	}
}

// TestBoundsOfTopics: what costs too much, or keeps the next start from
// succeeding, is answered with an error that says so.
func TestBoundsOfTopics(t *testing.T) {
	coupled := []string{"one", "two"}
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{Coupled: coupled})
	cl := kafkatest.Client(t, addr)
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopics(t.Context(), 1, 1, nil, append(coupled, "other")...); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]map[string]*string{
		"segments of a byte":   {"segment.bytes": kadm.StringPtr("1")},
		"an unknown policy":    {"cleanup.policy": kadm.StringPtr("shred")},
		"messages of any size": {"max.message.bytes": kadm.StringPtr("many")},
	} {
		if _, err := adm.CreateTopic(t.Context(), 1, 1, options, "refused"); !errors.Is(err, kerr.InvalidConfig) {
			t.Errorf("%s: %v, want %v", name, err, kerr.InvalidConfig)
		}
	}
	if _, err := adm.CreateTopic(t.Context(), 1<<31-1, 1, nil, "huge"); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("a topic with two billion partitions: %v, want %v", err, kerr.PolicyViolation)
	}
	for i := range 2 { // after that there is no room
		if _, err := adm.CreateTopic(t.Context(), 9990, 1, nil, fmt.Sprint("large-", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := adm.CreateTopic(t.Context(), 100, 1, nil, "more"); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("too many partitions: %v, want %v", err, kerr.PolicyViolation)
	}
	grow := func(topics ...string) error {
		got, err := adm.UpdatePartitions(t.Context(), 3, topics...)
		return errors.Join(err, got.Error())
	}
	if err := grow("one"); !errors.Is(err, kerr.PolicyViolation) || !strings.Contains(fmt.Sprint(err), "POLICY") {
		t.Errorf("partitions for one of the coupled topics: %v, want %v", err, kerr.PolicyViolation)
	}
	if err := grow(coupled...); err != nil {
		t.Errorf("partitions for all coupled topics: %v", err)
	}
	if err := grow("other"); err != nil {
		t.Errorf("partitions for another topic: %v", err)
	}
}

// TestBoundsOfGroups: texts beside offsets, names, kinds.
func TestBoundsOfGroups(t *testing.T) {
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
	cl := kafkatest.Client(t, addr)
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "topic"); err != nil {
		t.Fatal(err)
	}
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: "topic", At: 1, Metadata: strings.Repeat("x", 4097)})
	got, err := adm.CommitOffsets(t.Context(), "g", offsets)
	if err := errors.Join(err, got.Error()); !errors.Is(err, kerr.OffsetMetadataTooLarge) {
		t.Errorf("a long text: %v, want %v", err, kerr.OffsetMetadataTooLarge)
	}
	offsets = make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: "topic", At: 1, Metadata: strings.Repeat("x", 100)})
	refused := 0
	for i := range 2100 {
		got, err := adm.CommitOffsets(t.Context(), fmt.Sprint("g-", i), offsets)
		if err := errors.Join(err, got.Error()); errors.Is(err, kerr.PolicyViolation) {
			refused++
		}
	}
	if refused < 50 || refused > 150 {
		t.Errorf("%d of 2100 groups were refused, want 100", refused)
	}
}
