package lane

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/schemas"
)

func TestMisroutedAreTasksWithoutADeadLetter(t *testing.T) {
	const task = `{"task_id":"t","user_id":"u","task_name":"a","mode":"m","service":"s"}`
	at := func(s int) time.Time { return time.Unix(1_000_000+int64(s), 0) }
	var s misrouted
	for n, value := range []string{
		task, `{"task_id":"t","user_id":"u","task_name":"a","mode":"m","service":"s","priority":99}`,
		// an event
		`{"task_id":"t","user_id":"u","kind":"state","status":"failed","task":"a","mode":"m","service":"s"}`,
		"", "no JSON", "[]", `{"task_name":"a","mode":"m","service":"s"}`,
	} {
		s.see(&kgo.Record{Offset: int64(n), Value: []byte(value), Timestamp: at(n)})
	}
	offsets := func() (all []int64) {
		for _, r := range s.found {
			all = append(all, r.Offset)
		}
		return all
	}
	if got := offsets(); !slices.Equal(got, []int64{0, 1}) {
		t.Fatalf("misrouted at %v", got)
	}
	s.passed(&kgo.Record{Timestamp: at(9)})
	if got := offsets(); !slices.Equal(got, []int64{0, 1}) {
		t.Errorf("an owner that may not have read them has left %v", got)
	}
	s.passed(&kgo.Record{Timestamp: at(10)})
	if got := offsets(); !slices.Equal(got, []int64{1}) {
		t.Errorf("an owner that has read the first has left %v", got)
	}
	for range 2 * maxMisrouted {
		s.see(&kgo.Record{Value: []byte(task), Timestamp: at(0)})
	}
	if len(s.found) != maxMisrouted {
		t.Errorf("%d are kept", len(s.found))
	}
}

// A topic is taken for no lane once it has looked like none for a while, and no more when
// it looks like one or is gone.
func TestNoLanesAreTopicsThatStayNone(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1_000_000+int64(s), 0) }
	n := newNoLanes(MisroutedConfig{Topics: schemas.Topics{Prefix: "p."}, Lanes: []string{"fast"}})
	if want := []string{"p.tasks.scheduled", "p.tasks.dlq", "p.tasks.fast"}; !slices.Equal(n.lanes, want) {
		t.Errorf("asks about all but %v, want %v", n.lanes, want)
	}
	for i, step := range []struct {
		at       int
		suspects []string
		others   bool
		found    []string
	}{
		{0, []string{"a", "b"}, false, nil},
		{9, []string{"a", "b"}, false, nil},
		{10, []string{"a"}, true, []string{"a"}},
		{15, []string{"a", "b"}, false, []string{"a"}}, // b was a lane meanwhile
		{24, []string{"a", "b"}, false, []string{"a"}},
		{25, []string{"a", "b"}, true, []string{"a", "b"}},
		{26, []string{"b"}, true, []string{"b"}},
		{27, []string{"b"}, false, []string{"b"}},
		{28, nil, true, nil},
		{30, []string{"c"}, false, nil},
		{100, []string{"c"}, false, nil}, // the broker was silent
		{110, []string{"c"}, true, []string{"c"}},
	} {
		if step.at == 100 {
			n.missed()
		}
		if others := n.take(step.suspects, at(step.at)); others != step.others ||
			!slices.Equal(n.topics(), step.found) {
			t.Errorf("step %d: others %v, topics %v", i, others, n.topics())
		}
	}
}
