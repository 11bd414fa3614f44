package shard

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// stamps are the states a record can be written with.
func stamps() *rapid.Generator[fold.State] {
	return rapid.Custom(func(t *rapid.T) fold.State {
		part := rapid.Int64Range(1, 999_999_999_999_999_999)
		return fold.State{Epoch: part.Draw(t, "epoch"), Seq: part.Draw(t, "seq")}
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
			For: rapid.String().Draw(t, "for"), Hold: rapid.String().Draw(t, "hold"), Until: moment.Draw(t, "until"),
			Mode: rapid.String().Draw(t, "mode"), Service: rapid.String().Draw(t, "service"),
			TaskName: rapid.String().Draw(t, "task"),
			Expires:  moment.Draw(t, "expires"),
			Offset:   rapid.Int64Min(0).Draw(t, "offset"),
			Created:  schemas.AtTime(time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "created"))),
			Attempts: number.Draw(t, "attempts"), Started: number.Draw(t, "started"), Failed: number.Draw(t, "failed"),
			Handed: number.Draw(t, "handed"),
		}
		if rapid.Bool().Draw(t, "waited before") {
			w.from = stamps().Draw(t, "from")
			w.From = w.from.ID()
		}
		if rapid.Bool().Draw(t, "history") {
			w.History = []Attempt{{Attempt: number.Draw(t, "attempt"), Worker: rapid.String().Draw(t, "worker"),
				Ended: w.Created, End: endedFailed, Error: "no"}}
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
		b, err := w.Encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := DecodeWait(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read.Encode()
		if err != nil || string(again) != string(b) || read.from != w.from ||
			!reflect.DeepEqual(read.Checkpoints, w.Checkpoints) {
			t.Fatalf("%s comes back as %s %v: %v", b, again, read.from, err)
		}
	})
}

func TestWaitThatCannotBeRead(t *testing.T) {
	for _, text := range []string{"", "[]", `{"from":"7"}`, `{"from":"7-"}`, `{"from":"a-1"}`, `{"from":"-1-1"}`,
		`{"until":"soon"}`, `{"offset":"1"}`,
		`{"offset":1}`, `{"offset":-1,"created":"2026-01-02T03:04:05Z"}`,
		`{"created":"2026-01-02T03:04:05Z","attempts":-1}`,
		`{"created":"2026-01-02T03:04:05Z","started":65536}`} {
		if w, err := DecodeWait([]byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, w)
		}
	}
}

// What is read from a key names one record: written again it is the same key, but
// for how its names are escaped.
func FuzzDecodeWait(f *testing.F) {
	f.Add([]byte(`{"for":"retry","until":"2026-01-02T03:04:05Z","offset":7,` +
		`"from":"1-2","created":"2026-01-02T03:04:05Z","attempts":1,"checkpoints":{"a":{}}}`))
	f.Add([]byte(`{"for":"time","offset":0,"created":"2026-01-02T03:04:05Z","expires":"9999-12-31T23:59:59Z"}`))
	f.Add([]byte(`{"created":"2026-01-02T03:04:05Z","attempts":-1,"from":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := DecodeWait(b)
		if err != nil {
			return
		}
		encoded, err := w.Encode()
		if err != nil {
			return // a time that RFC 3339 has no form for
		}
		again, err := DecodeWait(encoded)
		if err != nil || again.from != w.from || again.Offset != w.Offset || again.Attempts != w.Attempts {
			t.Fatalf("%s is read as %+v, written as %s: %v", b, w, encoded, err)
		}
		newDelayedTask(fold.State{Epoch: 1, Seq: 1}, fold.Identity{1}, w, nil)
	})
}
