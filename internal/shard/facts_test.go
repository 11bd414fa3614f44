package shard

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// What a take-over reads from the journal is what the owner knew when it wrote.
func TestFactsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &schemas.Event{
			TaskID:  rapid.StringMatching(`[A-Za-z0-9._:@~-]{1,20}`).Draw(t, "task"),
			UserID:  rapid.StringN(1, 20, -1).Draw(t, "user"),
			Kind:    rapid.SampledFrom([]schemas.Kind{schemas.KindState, schemas.KindRepeat}).Draw(t, "kind"),
			Status:  rapid.SampledFrom(schemas.Statuses()).Draw(t, "status"),
			Attempt: rapid.IntRange(0, 100).Draw(t, "attempt"), Message: rapid.String().Draw(t, "message"),
			Source: &schemas.Source{Topic: "tasks.fast", Partition: 3,
				Offset: rapid.Int64Range(0, 1<<40).Draw(t, "offset")},
			Deferred: rapid.Bool().Draw(t, "deferred"), Worker: "w",
			Time:  schemas.AtTime(time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "time"))),
			Error: rapid.StringN(0, 5, -1).Draw(t, "error"), ErrorCode: schemas.CodeServiceError,
		}
		if rapid.Bool().Draw(t, "waits") {
			until := schemas.AtTime(time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "until")).UTC())
			e.Waiting = &schemas.Waiting{For: schemas.WaitRetry, Until: &until}
			e.Source.Wait = fold.State{Epoch: rapid.Int64Range(1, 1<<42).Draw(t, "epoch"),
				Seq: rapid.Int64Range(1, 1<<30).Draw(t, "seq")}.ID()
		}
		value, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, ok := readFacts(value)
		if diff := cmp.Diff(factsOf(e), got, cmp.AllowUnexported(facts{}, fold.State{})); !ok || diff != "" {
			t.Fatalf("read %v: %s", ok, diff)
		}
		if fold.IdentityOf(got.UserID, got.TaskID) != fold.IdentityOf(e.UserID, e.TaskID) {
			t.Fatal("the identity changes on its way through the journal")
		}
	})
}

func TestReadFactsKnowsNothingOf(t *testing.T) {
	for name, value := range map[string]string{
		"nothing": "", "garbage": "\x00\xff", "no object": "[]", "a mark": `{"kind":"mark","epoch":5}`,
		"a report":          `{"kind":"progress","user_id":"u","task_id":"a"}`,
		"a report's source": `{"kind":"progress","source":{"topic":"tasks.fast","partition":3,"offset":1}}`,
		"no source":         `{"kind":"state","status":"completed"}`,
		"a text for offset": `{"kind":"state","status":"completed","source":{"offset":"1"}}`,
	} {
		if r, ok := readFacts([]byte(value)); ok {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func FuzzReadFacts(f *testing.F) {
	f.Add([]byte(`{"kind":"state","status":"running","attempt":1,"source":{"topic":"t","partition":0,"offset":9}}`))
	f.Add([]byte(`{"kind":"repeat","source":{}}`))
	f.Add([]byte(`{"kind":"state","kind":"mark","source":{}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, ok := readFacts(value)
		if ok && (r.Source == nil || r.Kind != schemas.KindState && r.Kind != schemas.KindRepeat) {
			t.Errorf("%+v", r)
		}
		if ok && r.ends() && r.Kind == schemas.KindState && !r.Status.Terminal() {
			t.Errorf("ends with %s", r.Status)
		}
	})
}

func factsOf(e *schemas.Event) *facts {
	r := new(facts)
	r.take(e)
	return r
}
