package journal

import (
	"bytes"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

func TestClaimKeyComesBack(t *testing.T) {
	id := rapid.StringOfN(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("/%-. \x00ä"))), 1, 40, -1)
	rapid.Check(t, func(t *rapid.T) {
		user, content, at := id.Draw(t, "user"), IdentityOf(id.Draw(t, "content"), ""), stamps().Draw(t, "at")
		key := claimKey("fast", user, content, at)
		read, when, ok := readClaimKey(key)
		if !ok || read != content || when != at {
			t.Fatalf("%q comes back as %v %v %v", key, read, when, ok)
		}
		if _, _, ok := readWaitKey(key); ok {
			t.Fatal("a claim's key is taken for a waiting task's")
		}
		task := &schemas.Task{UserID: user, TaskID: "unique"}
		for _, other := range [][]byte{waitKey("fast", task, at), waitFenceKey("fast", at)} {
			if _, _, ok := readClaimKey(other); ok {
				t.Fatalf("%q is taken for a claim's", other)
			}
		}
	})
}

func TestClaimUntilHasBounds(t *testing.T) {
	for _, c := range []struct{ from, want int64 }{
		{0, 1000}, {-1, 999}, {math.MaxInt64, math.MaxInt64}, {math.MaxInt64 - 999, math.MaxInt64}, {math.MaxInt64 - 1000, math.MaxInt64},
	} {
		if got := claimUntil(time.UnixMilli(c.from), time.Second); got != c.want {
			t.Errorf("from %d: %d, want %d", c.from, got, c.want)
		}
	}
}

func FuzzDecodeClaim(f *testing.F) {
	f.Add([]byte("fast/u/unique/6eda6225a975ce3afe0d51e914a5624f/1000-2"), []byte(`{"task_id":"a","offset":1,"until_ms":2}`))
	f.Add([]byte("fast/u/unique/6e/1000-2"), []byte(`{"task_id":"","offset":-1}`))
	f.Add([]byte("fast/u/task/1000-2"), []byte(`[]`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if content, at, ok := readClaimKey(key); ok {
			if _, again, ok := readClaimKey(claimKey("fast", "u", content, at)); !ok || again != at {
				t.Errorf("%q is read as %v", key, at)
			}
		}
		c, err := decodeClaim(value)
		if err != nil {
			return
		}
		b, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decodeClaim(b); err != nil || *again != *c || c.Offset < 0 {
			t.Errorf("%q comes back as %+v, %v", value, again, err)
		}
	})
}

// A claim goes through a record of the waiting log; what is none there is nobody's.
func TestClaimEntry(t *testing.T) {
	h := newHeld(&Consumer{config: ConsumerConfig{Lane: "fast"}, log: slog.New(slog.DiscardHandler)}, 3)
	at := State{7, 2}
	key := claimKey("fast", "u", IdentityOf("u", "x"), at)
	record := &kgo.Record{Key: key}
	if err := fillWait(record, WaitRecord{Claim: &Claim{TaskID: "a", Offset: 5, UntilMS: 9}}); err != nil {
		t.Fatal(err)
	}
	if e := h.waitEntry(Stamp{"fast/3", 7, 2}, record); e.Claim == nil || *e.Claim != (Claim{"a", 5, 9}) || !bytes.Equal(e.Key, key) {
		t.Errorf("read as %+v", e)
	}
	if e := h.waitEntry(Stamp{"fast/3", 7, 2}, &kgo.Record{Key: key}); e.Claim != nil || !bytes.Equal(e.Key, key) {
		t.Errorf("a tombstone is read as %+v", e)
	}
	if e := h.waitEntry(Stamp{"fast/3", 7, 2}, &kgo.Record{Key: key, Value: []byte(`{}`)}); e.Claim != nil || e.Key != nil {
		t.Errorf("something else is read as %+v", e)
	}
}
