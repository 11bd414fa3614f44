package processor_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// A task that was sent to a topic that is no lane has a dead letter, whether it
// came before the processors or while they run, and of two lanes one writes it. What
// stands there beside tasks is left alone.
func TestTasksSentToNoLaneHaveDeadLetters(t *testing.T) {
	w, log := newWorld(t), new(lines)
	two := func(c *processor.Config) {
		c.Lanes = append(c.Lanes, processor.Lane{Name: schemas.LaneHeavy, Slots: 1})
		log.into(c)
	}
	service := handlers(map[string]processor.Handler{"double": double})
	misplace := func(id string, topics ...string) {
		t.Helper()
		for _, topic := range topics {
			for _, value := range [][]byte{task(id+topic[len(w.topics.Prefix):], "double"), []byte(`{"some":"thing"}`),
				[]byte("no JSON")} {
				record := &kgo.Record{Topic: topic, Key: []byte(id + string(value[:5])), Value: value,
					Headers: []kgo.RecordHeader{{Key: "tl-reason", Value: []byte("forged")}}}
				if err := w.client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// A record may have two letters: of an owner, and of the one before it.
	lettered := func(count int) func() bool {
		return func() bool {
			different := map[string]bool{}
			for _, letter := range w.letters {
				different[string(letter.Value)] = true
			}
			return len(different) >= count
		}
	}
	w.misrouted = true
	both := []string{w.topics.Events(), w.topics.Scheduled()}
	misplace("before-", both...)
	stop := w.start(two, service)
	w.until("the letters", lettered(2))
	misplace("while-", both...)
	w.until("the letters", lettered(4))
	stop()
	w.start(two, service)
	w.send(schemas.LaneFast, task("k0", "double"), task("k1", "double"), task("k2", "double"), task("k3", "double"))
	for _, id := range []string{"k0", "k1", "k2", "k3"} {
		w.end(id)
	}
	seen := map[string]bool{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, letter := range w.letters {
		topic := string(headerOf(letter, schemas.HeaderTopic))
		if string(headerOf(letter, schemas.HeaderReason)) != "not_a_lane" ||
			!strings.Contains(string(headerOf(letter, schemas.HeaderError)), topic+" is no lane") {
			t.Errorf("%s has the letter %v", letter.Value, letter.Headers)
		}
		seen[string(letter.Value)] = true
	}
	for _, topic := range both {
		for _, id := range []string{"before-", "while-"} {
			if !seen[string(task(id+topic[len(w.topics.Prefix):], "double"))] {
				t.Errorf("%s to %s has no letter", id, topic)
			}
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d records have letters: %v", len(seen), seen)
	}
	if told := log.with("level=WARN", "dead letter: not_a_lane", "offset="); len(told) == 0 {
		t.Error("nobody is told")
	}
}

// A task that was sent to a topic that no tasks are run from has one dead letter, however
// many processors there are, one after the other or at a time: task-control,
// task-webhooks, and topics named like a lane that no processor has a part in. Those that
// one has, or has had, are left alone, and what stands there beside tasks too.
func TestTasksSentToTopicsOfNoLaneHaveOneLetter(t *testing.T) {
	w, log := newWorld(t), new(lines)
	admin := kadm.NewClient(w.client)
	quick := func(c *processor.Config) {
		log.into(c)
	}
	service := handlers(map[string]processor.Handler{"double": double})
	create := func(topic string) string {
		t.Helper()
		kafkatest.CreateTopic(t, w.client, topic, 2, nil)
		return topic
	}
	produce := func(topic, id string, values ...string) {
		t.Helper()
		for _, value := range append(values, string(task(id+topic[len(w.topics.Prefix):], "double"))) {
			r := &kgo.Record{Topic: topic, Key: []byte(id), Value: []byte(value),
				Headers: []kgo.RecordHeader{{Key: "tl-seal", Value: []byte("forged")}}}
			if err := w.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	slow, served := create(w.topics.Lane("slow")), create(w.topics.Lane("was-served"))
	other := create(w.topics.Prefix + "tasks.of.others")
	astray := []string{w.topics.Control(), w.topics.Webhooks(), slow}
	beside := []string{`{"some":"thing"}`, "no JSON", `{"task_name":"neither task nor event"}`}
	for _, topic := range append(astray, served, other) {
		produce(topic, "before-", beside...)
	}
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: served, Partition: 1, At: 0, LeaderEpoch: -1})
	if answer, err := admin.CommitOffsets(t.Context(), w.topics.ProcessorGroup("was-served"), offsets); err != nil ||
		answer.Error() != nil {
		t.Fatal(err, answer.Error())
	}
	letters := func(n int) func() bool { return func() bool { return len(w.letters) >= n } }
	_, stop := w.startProcessor(quick, service)
	_, stop2 := w.startProcessor(quick, service)
	w.until("the letters of what was there before", letters(3))
	for _, topic := range astray {
		produce(topic, "while-", beside...)
	}
	w.until("the letters of what came meanwhile", letters(6))
	stop()
	for _, topic := range astray {
		produce(topic, "after-", beside...)
	}
	w.until("the letters of what came after one processor was gone", letters(9))
	stop2()
	w.start(quick, service)
	late := create(w.topics.Lane("fsat"))
	produce(late, "late-", beside...)
	w.until("the letter of a topic that is new", letters(10))
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string]int{}
	for _, letter := range w.letters {
		topic := string(headerOf(letter, schemas.HeaderTopic))
		seen[topic]++
		why := string(headerOf(letter, schemas.HeaderError))
		if string(headerOf(letter, schemas.HeaderReason)) != schemas.ReasonNotALane ||
			!strings.Contains(why, topic+" is no lane") || headerOf(letter, "tl-seal") != nil {
			t.Errorf("%s has the letter %v", letter.Value, letter.Headers)
		}
	}
	if want := map[string]int{w.topics.Control(): 3, w.topics.Webhooks(): 3, slow: 3, late: 1}; !maps.Equal(seen, want) {
		t.Errorf("letters by topic: %v, want %v", seen, want)
	}
	if len(log.with("level=WARN", "dead letter: not_a_lane", "offset=")) == 0 {
		t.Error("nobody is told")
	}
}
