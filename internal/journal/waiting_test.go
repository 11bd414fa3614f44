package journal

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

// stamps are the states a record can be written with.
func stamps() *rapid.Generator[State] {
	return rapid.Custom(func(t *rapid.T) State {
		part := rapid.Int64Range(1, 999_999_999_999_999_999)
		return State{Epoch: part.Draw(t, "epoch"), Seq: part.Draw(t, "seq")}
	})
}

func TestWaitKeyComesBack(t *testing.T) {
	id := rapid.StringOfN(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("/%-. \x00ä"))), 1, 40, -1)
	rapid.Check(t, func(t *rapid.T) {
		task := &schemas.Task{UserID: id.Draw(t, "user"), TaskID: id.Draw(t, "task")}
		at := stamps().Draw(t, "at")
		identity, read, ok := readWaitKey(waitKey("fast", task, at))
		if !ok || identity != IdentityOf(task.UserID, task.TaskID) || read != at {
			t.Fatalf("%q of %q comes back as %v %v %v", waitKey("fast", task, at), task.UserID, identity, read, ok)
		}
		if _, _, ok := readWaitKey(waitFenceKey("fast", at)); ok {
			t.Fatal("a fence's key is taken for a task's")
		}
	})
}

func waits() *rapid.Generator[*Wait] {
	return rapid.Custom(func(t *rapid.T) *Wait {
		moment := rapid.Custom(func(t *rapid.T) *schemas.Time {
			if rapid.Bool().Draw(t, "none") {
				return nil
			}
			at := schemas.AtTime(time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "ms")))
			return &at
		})
		number := rapid.IntRange(0, math.MaxUint16)
		w := &Wait{
			For: rapid.String().Draw(t, "for"), Hold: rapid.String().Draw(t, "hold"), Until: moment.Draw(t, "until"), Expires: moment.Draw(t, "expires"),
			Offset:   rapid.Int64Min(0).Draw(t, "offset"),
			Created:  schemas.AtTime(time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "created"))),
			Attempts: number.Draw(t, "attempts"), Started: number.Draw(t, "started"), Failed: number.Draw(t, "failed"), Handed: number.Draw(t, "handed"),
		}
		if rapid.Bool().Draw(t, "waited before") {
			w.from = stamps().Draw(t, "from")
			w.From = w.from.waitID()
		}
		if rapid.Bool().Draw(t, "history") {
			w.History = []episode{{Attempt: number.Draw(t, "attempt"), Worker: rapid.String().Draw(t, "worker"), Ended: w.Created, End: endedFailed, Error: "no"}}
		}
		if rapid.Bool().Draw(t, "checkpoints") {
			w.Checkpoints = map[string]jsontext.Value{rapid.String().Draw(t, "step"): jsontext.Value(`{"a":[1]}`)}
		}
		return w
	})
}

func TestWaitComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := waits().Draw(t, "wait")
		b, err := w.encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := decodeWait(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read.encode()
		if err != nil || string(again) != string(b) || read.from != w.from || !reflect.DeepEqual(read.Checkpoints, w.Checkpoints) {
			t.Fatalf("%s comes back as %s %v: %v", b, again, read.from, err)
		}
	})
}

func TestWaitThatCannotBeRead(t *testing.T) {
	for _, text := range []string{"", "[]", `{"from":"7"}`, `{"from":"7-"}`, `{"from":"a-1"}`, `{"from":"-1-1"}`, `{"until":"soon"}`, `{"offset":"1"}`,
		`{"offset":1}`, `{"offset":-1,"created":"2026-01-02T03:04:05Z"}`, `{"created":"2026-01-02T03:04:05Z","attempts":-1}`,
		`{"created":"2026-01-02T03:04:05Z","started":65536}`} {
		if w, err := decodeWait([]byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, w)
		}
	}
}

// What is read from a key names one record: written again it is the same key, but
// for how its names are escaped.
func FuzzReadWaitKey(f *testing.F) {
	for _, key := range []string{"fast/u/t/1-2", "fast///1-2", "fast/u%2F/t%25/9-9", "fast/u/t/", "fast/u/t/0-1", "/u/t/1-1", "a/b/c/d/1-1", "fast/%zz/t/1-1"} {
		f.Add([]byte(key))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		identity, at, ok := readWaitKey(key)
		if !ok {
			return
		}
		if at.Epoch <= 0 || at.Seq <= 0 {
			t.Fatalf("%q names a record written with %v", key, at)
		}
		if again, same := parseWaitID(at.waitID()); !same || again != at || identity == (Identity{}) {
			t.Fatalf("%q is read as %v, which is %v again", key, at, again)
		}
	})
}

func FuzzDecodeWait(f *testing.F) {
	f.Add([]byte(`{"for":"retry","until":"2026-01-02T03:04:05Z","offset":7,"from":"1-2","created":"2026-01-02T03:04:05Z","attempts":1,"checkpoints":{"a":{}}}`))
	f.Add([]byte(`{"for":"time","offset":0,"created":"2026-01-02T03:04:05Z","expires":"9999-12-31T23:59:59Z"}`))
	f.Add([]byte(`{"created":"2026-01-02T03:04:05Z","attempts":-1,"from":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := decodeWait(b)
		if err != nil {
			return
		}
		encoded, err := w.encode()
		if err != nil {
			return // a time that RFC 3339 has no form for
		}
		again, err := decodeWait(encoded)
		if err != nil || again.from != w.from || again.Offset != w.Offset || again.Attempts != w.Attempts {
			t.Fatalf("%s is read as %+v, written as %s: %v", b, w, encoded, err)
		}
		newWaiter(State{1, 1}, Identity{1}, w, nil)
	})
}
