package shard

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

func TestClaimKeyComesBack(t *testing.T) {
	id := rapid.StringOfN(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("/%-. \x00ä"))), 1, 40, -1)
	rapid.Check(t, func(t *rapid.T) {
		user, content, at := id.Draw(t, "user"), fold.IdentityOf(id.Draw(t, "content"), ""), stamps().Draw(t, "at")
		key := ClaimKey("fast", user, content, at)
		read, when, ok := ReadClaimKey(key)
		if !ok || read != content || when != at {
			t.Fatalf("%q comes back as %v %v %v", key, read, when, ok)
		}
		if _, _, ok := readWaitKey(key); ok {
			t.Fatal("a claim's key is taken for a waiting task's")
		}
		task := &schemas.Task{UserID: user, TaskID: "unique"}
		for _, other := range [][]byte{waitKey("fast", task, at), fold.WaitFenceKey("fast", at)} {
			if _, _, ok := ReadClaimKey(other); ok {
				t.Fatalf("%q is taken for a claim's", other)
			}
		}
	})
}

func TestClaimUntilHasBounds(t *testing.T) {
	for _, c := range []struct{ from, want int64 }{
		{0, 1000}, {-1, 999}, {math.MaxInt64, math.MaxInt64}, {math.MaxInt64 - 999, math.MaxInt64},
		{math.MaxInt64 - 1000, math.MaxInt64},
	} {
		if got := claimUntil(time.UnixMilli(c.from), time.Second); got != c.want {
			t.Errorf("from %d: %d, want %d", c.from, got, c.want)
		}
	}
}

func FuzzDecodeClaim(f *testing.F) {
	f.Add([]byte("fast/u/unique/6eda6225a975ce3afe0d51e914a5624f/1000-2"),
		[]byte(`{"task_id":"a","offset":1,"until_ms":2}`))
	f.Add([]byte("fast/u/unique/6e/1000-2"), []byte(`{"task_id":"","offset":-1}`))
	f.Add([]byte("fast/u/task/1000-2"), []byte(`[]`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if content, at, ok := ReadClaimKey(key); ok {
			if _, again, ok := ReadClaimKey(ClaimKey("fast", "u", content, at)); !ok || again != at {
				t.Errorf("%q is read as %v", key, at)
			}
		}
		c, err := DecodeClaim(value)
		if err != nil {
			return
		}
		b, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := DecodeClaim(b); err != nil || *again != *c || c.Offset < 0 {
			t.Errorf("%q comes back as %+v, %v", value, again, err)
		}
	})
}
