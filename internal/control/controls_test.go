package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/schemas"
)

const patience = 60 * time.Second

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a broker with the topic, and a writer.
type world struct {
	t      *testing.T
	config Config
	logs   *logtest.Buffer
	kafka  *kgo.Client
	admin  *kadm.Client
	writer *Writer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	brokers := kafkatest.Start(t)
	w := &world{t: t, logs: new(logtest.Buffer)}
	w.config = Config{
		Kafka:  kafka.Config{Brokers: strings.Split(brokers, ","), MetadataMinAge: 10 * time.Millisecond},
		Topics: schemas.Topics{Prefix: kafkatest.Prefix(t)}, Role: "test", Logger: slog.New(slog.NewTextHandler(w.logs,
			nil)),
	}
	w.kafka = kafkatest.Client(t, brokers)
	w.admin = kadm.NewClient(w.kafka)
	writer, err := NewWriter(w.config.Kafka, w.config.Topics)
	must(t, err)
	t.Cleanup(writer.Close)
	w.writer = writer
	return w
}

func (w *world) topic() string { return w.config.Topics.Control() }

func (w *world) create(partitions int32) {
	w.t.Helper()
	compact := "compact"
	kafkatest.CreateTopic(w.t, w.kafka, w.topic(), partitions, map[string]*string{"cleanup.policy": &compact})
}

// start runs a reader until cleanup, or until stop is called.
func (w *world) start() (c *Controls, stop func()) {
	w.t.Helper()
	c, err := New(w.config)
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return c, stop
}

func (w *world) ready(c *Controls) {
	w.t.Helper()
	select {
	case <-c.Ready():
	case <-bounded(w.t).Done():
		w.t.Fatalf("not ready: %s", w.logs)
	}
}

func (w *world) write(c *schemas.Control) Place {
	w.t.Helper()
	c.Time = schemas.AtTime(time.Now())
	place, err := w.writer.Write(bounded(w.t), c)
	must(w.t, err)
	return place
}

func (w *world) raw(key, value []byte) {
	w.t.Helper()
	must(w.t, w.kafka.ProduceSync(bounded(w.t), &kgo.Record{Topic: w.topic(), Key: key, Value: value}).FirstErr())
}

func pauseLane(lane string) *schemas.Control {
	return &schemas.Control{Kind: schemas.ControlPause, Target: schemas.Target{Type: schemas.TargetLane, Lane: lane},
		By: "ops", Reason: "upgrade"}
}

func keys(c *Controls) []string {
	page, _ := c.List("", "", 1000)
	all := []string{}
	for _, one := range page {
		all = append(all, one.Key())
	}
	return all
}

func TestWhatIsWrittenComesInForceEverywhereAndSurvivesARestart(t *testing.T) {
	w := newWorld(t)
	w.create(3)
	w.write(pauseLane("heavy"))
	first, stop := w.start()
	second, _ := w.start()
	w.ready(first)
	w.ready(second)
	in := schemas.AtTime(time.Now().Add(time.Hour))
	running := int64(2)
	written := []*schemas.Control{
		{Kind: schemas.ControlCancel, Target: schemas.Target{Type: schemas.TargetTask, UserID: "ada", TaskID: "t1"},
			ExpiresAt: &in, Reason: "changed my mind"},
		{Kind: schemas.ControlKillSwitch, Target: schemas.Target{Type: schemas.TargetService, Mode: "chat",
			Service: "openai"}, By: "ops"},
		{Kind: schemas.ControlLimits, Target: schemas.Target{Type: schemas.TargetUser, UserID: "bob"},
			Limits: &schemas.Limits{MaxRunning: &running}},
		pauseLane("fast"),
		{Kind: schemas.ControlResume, Target: schemas.Target{Type: schemas.TargetLane, Lane: "fast"}},
	}
	for _, c := range written {
		place := w.write(c)
		must(t, first.Passed(bounded(t), place))
		must(t, second.Passed(bounded(t), place))
	}
	stop()
	third, _ := w.start()
	w.ready(third)
	want := []string{"cancel/task/ada/t1", "kill_switch/service/chat/openai", "limits/user/bob", "pause/lane/heavy"}
	for name, c := range map[string]*Controls{"running": second, "started again": third} {
		if diff := cmp.Diff(want, keys(c)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got, cancelled := c.Cancelled("ada", "t1"); !cancelled || got.Reason != "changed my mind" {
			t.Errorf("%s: cancelled %v: %+v", name, cancelled, got)
		}
		v := c.Verdict(&schemas.Task{UserID: "ada", TaskID: "t2", Mode: "chat", Service: "openai"}, "heavy")
		if v.Action != Refuse || v.Control.By != "ops" {
			t.Errorf("%s: verdict %+v", name, v)
		}
		if l := c.Limits(); len(l) != 1 || *l[schemas.Target{Type: schemas.TargetUser, UserID: "bob"}].MaxRunning != 2 {
			t.Errorf("%s: limits %v", name, l)
		}
	}
	place, err := w.writer.Clear(bounded(t), "kill_switch/service/chat/openai")
	must(t, err)
	must(t, third.Passed(bounded(t), place))
	if third.InForce("kill_switch/service/chat/openai") || !third.InForce("pause/lane/heavy") {
		t.Errorf("after the tombstone %v", keys(third))
	}
}

func TestBadRecordsAreSkipped(t *testing.T) {
	w := newWorld(t)
	w.create(1)
	w.write(pauseLane("heavy"))
	for key, value := range map[string]string{
		"pause/lane/heavy": `{"kind":"resume"`, "x": "\xff",
		"kill_switch/lane/fast": `{"kind":"kill_switch","target":{"type":"planet"}}`,
		// Under another key than its own it could not be lifted.
		"pause/lane/FAST": `{"kind":"pause","target":{"type":"lane","lane":"fast"},"time":"2026-01-31T09:30:00Z"}`,
	} {
		w.raw([]byte(key), []byte(value))
	}
	c, _ := w.start()
	w.ready(c)
	if diff := cmp.Diff([]string{"pause/lane/heavy"}, keys(c)); diff != "" {
		t.Errorf("in force: %s", diff)
	}
	w.raw([]byte("pause/lane/fast"), []byte("no JSON either"))
	must(t, c.Passed(bounded(t), w.write(pauseLane("fast"))))
	if c.invalid.Load() != 5 || c.read.Load() != 7 || !strings.Contains(w.logs.String(), "not valid") {
		t.Errorf("%d of %d records are invalid, log %s", c.invalid.Load(), c.read.Load(), w.logs)
	}
	var out bytes.Buffer
	c.WritePrometheus(&out)
	for _, want := range []string{
		`tasklane_controls{role="test",kind="pause"} 2`, `tasklane_control_records_read{role="test"} 7`,
		`tasklane_control_records_invalid{role="test"} 5`,
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("metrics lack %s:\n%s", want, &out)
		}
	}
}

func TestAnEmptyTopicIsReadAtOnceAndALateOneIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	c, _ := w.start()
	for !strings.Contains(w.logs.String(), "topics ensure") {
		must(t, bounded(t).Err())
	}
	select {
	case <-c.Ready():
		t.Error("ready without a topic")
	default:
	}
	w.create(1)
	w.ready(c)
	if got := keys(c); len(got) > 0 {
		t.Errorf("in force %v", got)
	}
	must(t, c.Passed(bounded(t), w.write(pauseLane("fast"))))
}

func TestATopicMadeAnewReplacesEverything(t *testing.T) {
	w := newWorld(t)
	w.create(1)
	c, _ := w.start()
	w.ready(c)
	must(t, c.Passed(bounded(t), w.write(pauseLane("fast"))))
	s := c.Subscribe()
	defer s.Close()
	kafkatest.DeleteTopics(t, w.kafka, w.topic())
	for !strings.Contains(w.logs.String(), "topics ensure") {
		must(t, bounded(t).Err())
	}
	if diff := cmp.Diff([]string{"pause/lane/fast"}, keys(c)); diff != "" {
		t.Errorf("while the topic is away: %s", diff)
	}
	w.create(1)
	fresh := kafkatest.Client(t, strings.Join(w.config.Kafka.Brokers, ","))
	c2 := pauseLane("heavy")
	c2.Time = schemas.AtTime(time.Now())
	value, err := c2.Encode()
	must(t, err)
	must(t, fresh.ProduceSync(bounded(t), &kgo.Record{Topic: w.topic(), Key: []byte(c2.Key()),
		Value: value}).FirstErr())
	for change := (Change{}); !change.Everything; change = s.Take() {
		select {
		case <-s.Changed():
		case <-bounded(t).Done():
			t.Fatalf("the new topic is not read: %s", w.logs)
		}
	}
	for len(keys(c)) != 1 || keys(c)[0] != "pause/lane/heavy" {
		select {
		case <-s.Changed():
		case <-bounded(t).Done():
			t.Fatalf("in force %v: %s", keys(c), w.logs)
		}
	}
}

func TestATopicThatEndsInATombstoneIsReadToItsEnd(t *testing.T) {
	w := newWorld(t)
	w.create(1)
	for range 5 {
		w.write(pauseLane("fast"))
		w.write(&schemas.Control{Kind: schemas.ControlResume, Target: schemas.Target{Type: schemas.TargetLane,
			Lane: "fast"}})
	}
	w.write(pauseLane("heavy"))
	_, err := w.writer.Clear(bounded(t), "pause/lane/heavy")
	must(t, err)
	c, _ := w.start()
	w.ready(c)
	if got := keys(c); len(got) > 0 {
		t.Errorf("in force %v", got)
	}
}

func TestWriterSaysWhatBecameOfARecord(t *testing.T) {
	w := newWorld(t)
	var invalid *schemas.InvalidControlError
	if _, err := w.writer.Write(bounded(t), &schemas.Control{Kind: schemas.ControlCancel}); !errors.As(err, &invalid) {
		t.Errorf("an invalid control: %v", err)
	}
	c := pauseLane("fast")
	c.Time = schemas.AtTime(epoch)
	if _, err := w.writer.Write(bounded(t), c); !errors.Is(err, ErrRefused) {
		t.Errorf("without a topic: %v", err)
	}
	nobody, err := NewWriter(kafka.Config{Brokers: []string{"127.0.0.1:1"}}, w.config.Topics)
	must(t, err)
	defer nobody.Close()
	ctx, cancel := context.WithTimeout(bounded(t), 50*time.Millisecond)
	defer cancel()
	if _, err := nobody.Write(ctx, c); !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a broker: %v", err)
	}
}

func TestAskingWhileReading(t *testing.T) {
	w := newWorld(t)
	w.create(1)
	c, _ := w.start()
	w.ready(c)
	done := make(chan struct{})
	var asking sync.WaitGroup
	for i := range 4 {
		asking.Go(func() {
			s := c.Subscribe()
			defer s.Close()
			for task := (&schemas.Task{UserID: "ada", TaskID: fmt.Sprint(i)}); ; {
				select {
				case <-done:
					return
				case <-s.Changed():
					s.Take()
				default:
				}
				c.Verdict(task, "fast")
				c.Cancelled("ada", task.TaskID)
				c.Limits()
				keys(c)
			}
		})
	}
	var last Place
	for i := range 200 {
		c := pauseLane("fast")
		if i%2 == 1 {
			c.Kind = schemas.ControlResume
		}
		last = w.write(c)
	}
	must(t, c.Passed(bounded(t), last))
	close(done)
	asking.Wait()
	if c.InForce("pause/lane/fast") {
		t.Error("the last resume is not in force")
	}
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no broker is no error")
	}
	if _, err := NewWriter(kafka.Config{}, schemas.Topics{}); err == nil {
		t.Error("a writer without a broker is no error")
	}
}
