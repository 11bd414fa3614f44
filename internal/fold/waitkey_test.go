package fold

import (
	"testing"

	"pgregory.net/rapid"
)

func TestWaitKeyComesBack(t *testing.T) {
	id := rapid.StringOfN(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("/%-. \x00ä"))), 1, 40, -1)
	part := rapid.Int64Range(1, 999_999_999_999_999_999)
	rapid.Check(t, func(t *rapid.T) {
		at := State{Epoch: part.Draw(t, "epoch"), Seq: part.Draw(t, "seq")}
		k := WaitKey{Lane: "fast", UserID: id.Draw(t, "user"), TaskID: id.Draw(t, "task"), At: at}
		if read, ok := ParseWaitKey(k.Encode()); !ok || read != k {
			t.Fatalf("%q comes back as %+v, %v", k.Encode(), read, ok)
		}
		if _, ok := ParseWaitKey(WaitFenceKey("fast", at)); ok {
			t.Fatal("a fence's key is taken for a task's")
		}
	})
}

func FuzzParseWaitKey(f *testing.F) {
	for _, key := range []string{
		"fast/u/t/1-2", "fast///1-2", "fast/u%2F/t%25/9-9", "fast/u/t/", "fast/u/t/0-1", "/u/t/1-1", "a/b/c/d/1-1",
		"fast/%zz/t/1-1",
	} {
		f.Add([]byte(key))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		k, ok := ParseWaitKey(key)
		if !ok {
			return
		}
		if k.At.Epoch <= 0 || k.At.Seq <= 0 {
			t.Fatalf("%q names a record written with %v", key, k.At)
		}
		if again, same := ParseWaitKey(k.Encode()); !same || again != k {
			t.Fatalf("%q is read as %+v, which is %+v again", key, k, again)
		}
	})
}
