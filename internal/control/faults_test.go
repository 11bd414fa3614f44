package control

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/schemas"
)

// restartable is a world whose broker can be ended and started again.
func restartable(t *testing.T) (*world, *kafkatest.Killable) {
	t.Helper()
	broker := kafkatest.StartKillable(t)
	w := &world{t: t, logs: new(logtest.Buffer)}
	w.config = Config{
		Kafka:  kafka.Config{Brokers: []string{broker.Addr()}, MetadataMinAge: 10 * time.Millisecond},
		Topics: schemas.Topics{Prefix: kafkatest.Prefix(t)}, Role: "test", Logger: slog.New(slog.NewTextHandler(w.logs,
			nil)),
	}
	w.kafka = kafkatest.Client(t, broker.Addr())
	w.admin = kadm.NewClient(w.kafka)
	writer, err := NewWriter(w.config.Kafka, w.config.Topics)
	must(t, err)
	t.Cleanup(writer.Close)
	w.writer = writer
	w.create(1)
	return w, broker
}

// TestReadersAgreeOverRestarts: brokers end and come back, readers come and go, and each
// reader has in force what was acknowledged last of each key, and nothing else.
func TestReadersAgreeOverRestarts(t *testing.T) {
	w, broker := restartable(t)
	random := rand.New(rand.NewPCG(3, 1))
	first, _ := w.start()
	w.ready(first)
	readers := []*Controls{first}
	want := map[string]bool{}
	var last Place
	for round := range 4 {
		for range 10 {
			c := pauseLane([]string{"fast", "heavy", "gpu"}[random.IntN(3)])
			if random.IntN(3) == 0 {
				c.Kind = schemas.ControlResume
			}
			last = w.write(c)
			want[c.Key()] = c.Kind == schemas.ControlPause
		}
		for i, reader := range readers {
			must(t, reader.Passed(bounded(t), last))
			// It looks whether it is well once a second, and may have looked while there was no broker.
			kafkatest.Eventually(t, fmt.Sprintf("round %d: reader %d to be well", round, i),
				func() bool { return reader.Healthy() == nil })
		}
		broker.Kill()
		broker.Restart()
		late, _ := w.start()
		w.ready(late)
		readers = append(readers, late)
	}
	c := pauseLane("last")
	last = w.write(c)
	want[c.Key()] = true
	wanted := []string{}
	for key, is := range want {
		if is {
			wanted = append(wanted, key)
		}
	}
	slices.Sort(wanted)
	for i, reader := range readers {
		must(t, reader.Passed(bounded(t), last))
		if got := keys(reader); !slices.Equal(got, wanted) {
			t.Errorf("reader %d has %v in force, want %v", i, got, wanted)
		}
	}
}

// TestReaderWithoutABrokerKeepsWhatIsInForce: and says that it is not well.
func TestReaderWithoutABrokerKeepsWhatIsInForce(t *testing.T) {
	w, broker := restartable(t)
	c, _ := w.start()
	w.ready(c)
	must(t, c.Passed(bounded(t), w.write(pauseLane("fast"))))
	broker.Kill()
	kafkatest.Eventually(t, "the reader to say so", func() bool { return c.Healthy() != nil })
	if !c.Holds("pause/lane/fast") {
		t.Error("what was in force is not any more")
	}
	broker.Restart()
	kafkatest.Eventually(t, "the reader to be well", func() bool { return c.Healthy() == nil })
	must(t, c.Passed(bounded(t), w.write(pauseLane("heavy"))))
	if got := keys(c); !slices.Equal(got, []string{"pause/lane/fast", "pause/lane/heavy"}) {
		t.Errorf("in force %v", got)
	}
}

// TestChangesAgainstAModel: whatever is applied and whenever it is taken, a subscriber is
// told of each task that was cancelled and of every change of a rule, or to look at
// everything.
func TestChangesAgainstAModel(t *testing.T) {
	tomorrow := time.Now().Add(24 * time.Hour)
	rapid.Check(t, func(rt *rapid.T) {
		c := offline(t)
		s := c.Subscribe()
		cancels, rules, everything := map[schemas.TaskKey]bool{}, false, false
		number := 0
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0, 1:
				id := fmt.Sprint(rapid.IntRange(0, 3).Draw(rt, "task"))
				c.apply([]record{cancelOf(id, tomorrow)}, nil)
				cancels[schemas.TaskKey{UserID: "ada", TaskID: id}] = true
			case 2:
				c.apply([]record{pauseOf("bob", nil)}, nil)
				rules = true
			case 3: // a flood
				n := rapid.IntRange(1, maxPendingCancels).Draw(rt, "flood")
				var records []record
				for range n {
					number++
					records = append(records, cancelOf(fmt.Sprint("flood-", number), tomorrow))
					cancels[schemas.TaskKey{UserID: "ada", TaskID: fmt.Sprint("flood-", number)}] = true
				}
				c.apply(records, nil)
			case 4:
				c.replace(newState(), nil)
				rules, everything = true, true
			default:
				told := changed(s)
				change := s.Take()
				everything = everything || len(cancels) > maxPendingCancels
				if told != (len(cancels) > 0 || rules || everything) {
					rt.Fatalf("told: %t, with %d cancels, rules %t, everything %t", told, len(cancels), rules,
						everything)
				}
				if change.Rules != rules || change.Everything != everything {
					rt.Fatalf("rules %t and everything %t, want %t and %t", change.Rules, change.Everything, rules,
						everything)
				}
				got := map[schemas.TaskKey]bool{}
				for _, id := range change.Cancels {
					got[id] = true
				}
				if len(got) != len(change.Cancels) || !everything && !maps.Equal(got, cancels) {
					rt.Fatalf("told of %d cancels, want %d", len(change.Cancels), len(cancels))
				}
				clear(cancels)
				rules, everything = false, false
			}
		}
		s.Close()
		c.apply([]record{cancelOf("after", tomorrow)}, nil)
		s.Take()
		if changed(s) && len(s.Take().Cancels) > 0 {
			rt.Fatal("told after it was closed")
		}
	})
}

// TestJudgeOfAWrite: what is known not to be in the topic, and what may be there.
func TestJudgeOfAWrite(t *testing.T) {
	for _, test := range []struct{ err, want error }{
		{nil, nil},
		{kerr.TopicAuthorizationFailed, ErrRefused},
		{kerr.MessageTooLarge, ErrRefused},
		{kerr.UnknownTopicOrPartition, ErrRefused},
		{kgo.ErrMaxBuffered, ErrRefused},
		{kerr.RequestTimedOut, ErrUnknownOutcome},
		{kerr.NotEnoughReplicasAfterAppend, ErrUnknownOutcome},
		{kgo.ErrRecordTimeout, ErrUnknownOutcome},
		{kgo.ErrClientClosed, ErrUnknownOutcome},
		{errors.New("connection reset"), ErrUnknownOutcome},
	} {
		got := judge(test.err)
		if test.want == nil {
			if got != nil {
				t.Errorf("no error is %v", got)
			}
			continue
		}
		if !errors.Is(got, test.want) || !errors.Is(got, test.err) || errors.Is(got, ErrRefused) &&
			errors.Is(got, ErrUnknownOutcome) {
			t.Errorf("%v is %v, want %v", test.err, got, test.want)
		}
	}
}

// FuzzDecode: what is decoded stands under its own key, and writes the same again.
func FuzzDecode(f *testing.F) {
	c := pauseLane("fast")
	c.Time = schemas.AtTime(epoch)
	value, err := c.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(c.Key()), value)
	f.Add([]byte("pause/lane/heavy"), value)
	f.Add([]byte("pause/lane/fast"), []byte{})
	f.Add([]byte{}, value)
	f.Add([]byte("cancel/ada/t"), []byte(`{"kind":"cancel","target":{"type":"task","user_id":"ada","task_id":"t"}}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		got, err := decode(&kgo.Record{Key: key, Value: value})
		switch {
		case err != nil:
			return
		case got.key != string(key) || got.key == "":
			t.Fatalf("%q is read under the key %q", key, got.key)
		case got.control == nil:
			if len(value) > 0 {
				t.Fatalf("%q is read as a tombstone", value)
			}
			return
		}
		again, err := got.control.Encode()
		if err != nil {
			t.Fatalf("%q cannot be written again: %v", value, err)
		}
		if same, err := decode(&kgo.Record{Key: key, Value: again}); err != nil ||
			same.control.Key() != got.control.Key() {
			t.Fatalf("%q is read again as %+v, %v", again, same, err)
		}
	})
}

// TestMetricsTellWhatIsHeld by kind, and what was read and passed over.
func TestMetricsTellWhatIsHeld(t *testing.T) {
	c := offline(t)
	tomorrow := time.Now().Add(24 * time.Hour)
	c.apply([]record{cancelOf("a", tomorrow), cancelOf("b", tomorrow), pauseOf("bob", nil)}, nil)
	c.decode([]*kgo.Record{{Value: []byte("x")}, {Key: []byte("pause/lane/fast")}, {Key: []byte("k"),
		Value: []byte("{")}})
	var out strings.Builder
	c.WritePrometheus(&out)
	for _, want := range []string{
		`tasklane_controls{role="other",kind="cancel"} 2`, `tasklane_controls{role="other",kind="pause"} 1`,
		`tasklane_controls{role="other",kind="limits"} 0`, `tasklane_control_records_read{role="other"} 3`,
		`tasklane_control_records_invalid{role="other"} 2`, `tasklane_control_dropped{role="other"} 0`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in\n%s", want, out.String())
		}
	}
}
