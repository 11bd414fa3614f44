package fold

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

func TestStateCompare(t *testing.T) {
	order := []State{{1, 1}, {1, 2}, {2, 1}, {2, 9}, {}} // not appended yet comes last
	for i, a := range order {
		for j, b := range order {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%v against %v: %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestStampHeaders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Stamp{
			Shard: ShardID{rapid.StringMatching(`[a-z]{1,12}`).Draw(t, "lane"),
				rapid.Int32Range(0, 1<<30).Draw(t, "partition")}.String(),
			Epoch: rapid.Int64Range(1, 999_999_999_999_999_999).Draw(t, "epoch"),
			Seq:   rapid.Int64Range(1, 999_999_999_999_999_999).Draw(t, "seq"),
		}
		headers := append([]kgo.RecordHeader{{Key: "traceparent", Value: []byte("x")}},
			Headers[kgo.RecordHeader](want)...)
		if got, ok := ReadStamp(headers); !ok || got != want {
			t.Fatalf("%+v comes back as %+v, %v", want, got, ok)
		}
	})
}

func TestStampEventID(t *testing.T) {
	if got := (Stamp{"fast/3", 1767222000000, 17}).EventID(); got != "fast/3-1767222000000-17" {
		t.Error(got)
	}
}

func TestReadStampRefuses(t *testing.T) {
	whole := Headers[kgo.RecordHeader](Stamp{"fast/3", 5, 6})
	for missing := range whole {
		headers := append(append([]kgo.RecordHeader(nil), whole[:missing]...), whole[missing+1:]...)
		if _, ok := ReadStamp(headers); ok {
			t.Errorf("a record without %s has a stamp", whole[missing].Key)
		}
	}
	for _, number := range []string{"", "0", "-1", "+1", " 1", "1.5", "1e3", "0x1", "١", strings.Repeat("9", 19)} {
		headers := append(Headers[kgo.RecordHeader](Stamp{"fast/3", 5, 6}),
			kgo.RecordHeader{Key: schemas.HeaderSeq, Value: []byte(number)})
		if stamp, ok := ReadStamp(headers); ok {
			t.Errorf("seq %q is read as %d", number, stamp.Seq)
		}
	}
}

func TestParseShardID(t *testing.T) {
	for _, id := range []ShardID{{"fast", 0}, {"heavy", 7}, {"gpu-a", 1 << 30}} {
		if got, err := ParseShardID(id.String()); err != nil || got != id {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	for _, text := range []string{"", "fast", "fast/", "/3", "fast/x", "fast/-1", "fast/3/4", "fast/99999999999"} {
		if id, err := ParseShardID(text); err == nil {
			t.Errorf("%q is read as %+v", text, id)
		}
	}
}

func FuzzReadStamp(f *testing.F) {
	f.Add("fast/3", "12", "7")
	f.Add("", "0", "-1")
	f.Fuzz(func(t *testing.T, shard, epoch, seq string) {
		stamp, ok := ReadStamp([]kgo.RecordHeader{
			{Key: schemas.HeaderShard, Value: []byte(shard)}, {Key: schemas.HeaderEpoch, Value: []byte(epoch)},
			{Key: schemas.HeaderSeq, Value: []byte(seq)},
		})
		if ok && (stamp.Shard == "" || stamp.Epoch < 1 || stamp.Seq < 1) {
			t.Errorf("%+v", stamp)
		}
		if again, fine := ReadStamp(Headers[kgo.RecordHeader](stamp)); ok && (!fine || again != stamp) {
			t.Errorf("%+v comes back as %+v", stamp, again)
		}
	})
}

func FuzzParseShardID(f *testing.F) {
	f.Add("fast/3")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseShardID(text)
		if again, err2 := ParseShardID(id.String()); err == nil && (err2 != nil || again != id) {
			t.Errorf("%q is %+v, which is %+v, %v", text, id, again, err2)
		}
	})
}
