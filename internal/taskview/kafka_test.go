package taskview

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

func TestSameLog(t *testing.T) {
	log := func(pairs ...string) map[string]string {
		names := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			names[pairs[i]] = pairs[i+1]
		}
		return names
	}
	for name, test := range map[string]struct {
		file, now map[string]string
		differs   string
	}{
		"a new file": {log(), log("log:cluster", "a"), ""},
		"the same": {log("log:cluster", "a", "log:topic:x", "1"), log("log:cluster", "a", "log:topic:x", "1"),
			""},
		"another cluster":   {log("log:cluster", "a"), log("log:cluster", "b"), "cluster is b, it was made from a"},
		"a topic made anew": {log("log:topic:x", "1"), log("log:topic:x", "2"), "topic:x is 2"},
		"a topic too few": {log("log:cluster", "a"), log("log:cluster", "a", "log:topic:x", "1"),
			"made without topic:x"},
		"a topic too many": {log("log:cluster", "a", "log:topic:x", "1"), log("log:cluster", "a"),
			"made from topic:x too"},
		"another topic prefix": {log("log:topic:a.x", "1"), log("log:topic:b.x", "1"), "made from topic:a.x too"},
	} {
		t.Run(name, func(t *testing.T) {
			err := sameLog(test.file, test.now)
			if (err == nil) != (test.differs == "") || err != nil &&
				(!errors.Is(err, errRebuild) || !strings.Contains(err.Error(), test.differs)) {
				t.Errorf("got %v, want %q", err, test.differs)
			}
		})
	}
}

func TestGoOn(t *testing.T) {
	at := func(p int32) topicPartition { return topicPartition{"x", p} }
	for name, test := range map[string]struct {
		read, start, end, next int64
		cut                    bool
	}{
		"nothing was read":                   {0, 0, 9, 0, false},
		"nothing was read, and some is gone": {0, 4, 9, 4, false},
		"in the middle":                      {5, 0, 9, 5, false},
		"retention has passed it":            {5, 7, 9, 7, false},
		"at the end":                         {9, 0, 9, 9, false},
		"an empty log":                       {0, 0, 0, 0, false},
		"all of it is deleted":               {9, 9, 9, 9, false},
		"beyond the end":                     {10, 0, 9, 0, true},
		"beyond an empty log":                {1, 0, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			read := map[topicPartition]position{at(0): {next: test.read, epoch: 3}}
			next, err := goOn(map[string]int{"x": 2}, read, map[topicPartition]int64{at(0): test.start},
				map[topicPartition]int64{at(0): test.end})
			var cut *cutError
			switch {
			case errors.As(err, &cut) != test.cut:
				t.Fatalf("goes on at %v, %v", next, err)
			case test.cut:
				if cut.at != at(0) || cut.end != test.end || cut.read != test.read || !errors.Is(err, errRebuild) ||
					!strings.Contains(err.Error(), "x/0 ends at") {
					t.Errorf("%+v: %v", cut, err)
				}
			case !maps.Equal(next, map[topicPartition]int64{at(0): test.next, at(1): 0}):
				t.Errorf("goes on at %v", next)
			}
		})
	}
}

// TestNothingIsReadTwiceOrSkipped: wherever a log starts and ends, a reader goes
// on at what it has not read, or is told that it was ahead.
func TestNothingIsReadTwiceOrSkipped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts, read := map[string]int{"x": 2, "y": 1}, map[topicPartition]position{}
		starts, ends := map[topicPartition]int64{}, map[topicPartition]int64{}
		ahead := false
		for topic, count := range counts {
			for p := range int32(count) {
				at := topicPartition{topic, p}
				starts[at] = int64(rapid.IntRange(0, 5).Draw(t, "start"))
				ends[at] = starts[at] + int64(rapid.IntRange(0, 5).Draw(t, "records"))
				read[at] = position{next: int64(rapid.IntRange(0, 12).Draw(t, "read"))}
				ahead = ahead || read[at].next > ends[at]
			}
		}
		next, err := goOn(counts, read, starts, ends)
		if (err != nil) != ahead {
			t.Fatalf("ahead %v, %v", ahead, err)
		}
		for at, offset := range next {
			if offset > ends[at] || offset < starts[at] || offset > read[at].next && offset != starts[at] {
				t.Fatalf("%v goes on at %d: read %d, starts %d, ends %d", at, offset, read[at].next, starts[at], ends[at])
			}
		}
	})
}

// TestClientFollowsItsTopicsOnly.
func TestClientFollowsItsTopicsOnly(t *testing.T) {
	c := Config{Topics: schemas.Topics{Prefix: "p."}, Lanes: []string{"fast", "gpu"}}
	c.Kafka.Brokers = []string{"127.0.0.1:1"}
	l, err := newLogClient(c, nil, nil)
	must(t, err)
	defer l.Close()
	if topics := l.topics(); len(topics) != 3 || topics[0] != "p.task-events" {
		t.Errorf("follows %v", topics)
	}
	for topic, want := range map[string]string{"p.tasks.fast": "fast", "p.tasks.gpu": "gpu", "p.tasks.heavy": "",
		"tasks.fast": "", "p.task-events": ""} {
		if lane, ok := l.lane(topic); lane != want || ok != (want != "") {
			t.Errorf("%s is lane %q", topic, lane)
		}
	}
}
