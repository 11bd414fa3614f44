package lane

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

func TestWhatIsPutOnTheShelfComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 300)
		want := &kgo.Record{
			Topic: rapid.String().Draw(t, "topic"), Partition: rapid.Int32Min(0).Draw(t, "partition"),
			Offset: rapid.Int64Min(0).Draw(t, "offset"), Key: text.Draw(t, "record key"), Value: text.Draw(t, "value"),
			Timestamp: time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "created")),
		}
		for range rapid.IntRange(0, 4).Draw(t, "headers") {
			want.Headers = append(want.Headers, kgo.RecordHeader{Key: rapid.String().Draw(t, "key"),
				Value: text.Draw(t, "header")})
		}
		b := appendRecord(nil, want)
		got, err := readRecord(b)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(),
			cmpopts.IgnoreUnexported(kgo.Record{}, kgo.RecordAttrs{})); err != nil || diff != "" {
			t.Fatalf("%v %s", err, diff)
		}
		if cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut"); cut < len(b) {
			if _, err := readRecord(b[:cut]); err == nil {
				t.Fatalf("the first %d of %d bytes were read as a record", cut, len(b))
			}
		}
	})
}
