package definitions

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/schemas"
)

// world is a broker with the topic.
type world struct {
	t      *testing.T
	kafka  kafka.Config
	topics schemas.Topics
	logs   *logtest.Buffer
	client *kgo.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	brokers := kafkatest.Start(t)
	w := &world{
		t: t, kafka: kafka.Config{Brokers: strings.Split(brokers, ","), MetadataMinAge: 10 * time.Millisecond},
		topics: schemas.Topics{Prefix: kafkatest.Prefix(t)}, logs: new(logtest.Buffer), client: kafkatest.Client(t, brokers),
	}
	w.create()
	return w
}

func (w *world) create() {
	w.t.Helper()
	compact := "compact"
	_, err := kadm.NewClient(w.client).CreateTopic(w.bounded(), 1, 1, map[string]*string{"cleanup.policy": &compact},
		w.topics.Definitions())
	w.must(err)
}

func (w *world) bounded() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) logger() *slog.Logger { return slog.New(slog.NewTextHandler(w.logs, nil)) }

// run runs something until cleanup, or until stop is called.
func (w *world) run(what func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- what(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("it ended with %v", err)
		}
	}
	w.t.Cleanup(stop)
	return stop
}

// follow is a catalog that has read what there is.
func (w *world) follow() *Catalog {
	w.t.Helper()
	c, err := NewCatalog(CatalogConfig{Kafka: w.kafka, Topics: w.topics, Logger: w.logger()})
	w.must(err)
	w.run(c.Run)
	select {
	case <-c.Ready():
	case <-w.bounded().Done():
		w.t.Fatalf("the catalog is not ready: %v\n%s", c.Healthy(), w.logs)
	}
	return c
}

// offer publishes as a processor does.
func (w *world) offer(worker string, lanes []string, services ...Service) (stop func()) {
	w.t.Helper()
	p, err := NewPublisher(PublisherConfig{
		Kafka: w.kafka, Topics: w.topics, Services: services, Worker: worker, Lanes: lanes, Logger: w.logger(),
	})
	w.must(err)
	stop = w.run(p.Run)
	<-p.First()
	return stop
}

// write writes a record as anybody can.
func (w *world) write(key string, value []byte) {
	w.t.Helper()
	w.must(w.client.ProduceSync(w.bounded(), &kgo.Record{
		Topic: w.topics.Definitions(), Key: []byte(key), Value: value,
	}).FirstErr())
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	kafkatest.Eventually(t, what, is)
}

func names(c *Catalog) (all []string) {
	for _, s := range c.Services() {
		all = append(all, s.Service)
	}
	return all
}

func service(name, version, input string) Service {
	s := Service{Mode: "chat", Name: name, Version: version, Description: "does " + name}
	s.Tasks = []Task{{Name: "ask", Description: "asks", Input: jsontext.Value(input)}, {Name: "anything"}}
	return s
}

func task(name, version, input string) *schemas.Task {
	return &schemas.Task{
		Mode: "chat", Service: name, TaskName: "ask", Version: version, InputData: jsontext.Value(input),
	}
}

const (
	wantsText = `{"type":"object","required":["text"],"properties":{"text":{"type":"string"}}}`
	wantsID   = `{"type":"object","required":["id"]}`
)

// TestOffersAreMergedAndGoAway: two processors with two versions are one service; what
// one of them takes is taken; a processor that stops takes what it offered with it.
func TestOffersAreMergedAndGoAway(t *testing.T) {
	w := newWorld(t)
	stopOld := w.offer("w1", []string{"fast"}, service("helper", "1", wantsText), service("other", "", ""))
	c := w.follow()
	if got := names(c); !slices.Equal(got, []string{"chat/helper", "chat/other"}) {
		t.Fatalf("what was published before the start: %q", got)
	}
	if wrong := c.Check(task("helper", "", `{"text": 5}`)); wrong == nil ||
		wrong.Field("input_data") != "input_data.text" {
		t.Errorf("input that does not suit: %v", wrong)
	}
	stopNew := w.offer("w2", []string{"heavy", "fast"}, service("helper", "2", wantsID))
	eventually(t, "the second processor is seen", func() bool { return c.Services()[0].Workers == 2 })
	got := c.Services()[0]
	if got.Service != "chat/helper" || !slices.Equal(got.Versions, []string{"1", "2"}) ||
		!slices.Equal(got.Lanes, []string{"fast", "heavy"}) || len(got.Tasks) != 2 ||
		string(got.Tasks[1].Input) != wantsID || got.Description != "does helper" || got.Generic || got.Since.IsZero() {
		t.Errorf("merged: %+v", got)
	}
	for _, one := range []struct {
		task *schemas.Task
		want bool
	}{
		{task("helper", "", `{"text": "a"}`), true},
		{task("helper", "", `{"id": 1}`), true},
		{task("helper", "", `{"name": 1}`), false},
		{task("helper", "1", `{"id": 1}`), false},
		{task("helper", "2", `{"id": 1}`), true},
		{task("helper", "3", `{}`), true}, // nobody offers it: it waits for who does
		{task("other", "", `{}`), true},
		{task("nobody", "", `{}`), true},
		{&schemas.Task{Mode: "chat", Service: "helper", TaskName: "unheard_of"}, true},
	} {
		if wrong := c.Check(one.task); (wrong == nil) != one.want {
			t.Errorf("%s %q %s: %v", one.task.Service, one.task.Version, one.task.InputData, wrong)
		}
	}
	stopOld()
	eventually(t, "the first processor is forgotten", func() bool {
		return slices.Equal(names(c), []string{"chat/helper"}) && slices.Equal(c.Services()[0].Versions, []string{"2"})
	})
	if c.Check(task("helper", "", `{"text": "a"}`)) == nil {
		t.Error("the version that went away is still asked")
	}
	stopNew()
	eventually(t, "nothing is offered", func() bool { return len(c.Services()) == 0 })
}

// TestKilledProcessorsExpire: what is not refreshed goes away, and what is refreshed
// stays.
// A catalog is ready at once where nobody offers anything: a producer's start waits for it.
func TestAnEmptyTopicIsReadAtOnce(t *testing.T) {
	w := newWorld(t)
	c, err := NewCatalog(CatalogConfig{Kafka: w.kafka, Topics: w.topics})
	w.must(err)
	defer w.run(c.Run)()
	select {
	case <-c.Ready():
	case <-time.After(expireEvery / 2):
		t.Error("the catalog waits for what does not come")
	}
}

func TestKilledProcessorsExpire(t *testing.T) {
	now := time.Now()
	s := service("helper", "1", wantsText)
	s.Kind, s.Worker, s.Since, s.Lanes = KindService, "gone", schemas.AtTime(now.Add(-time.Hour)), []string{"fast"}
	value, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCatalog(CatalogConfig{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	record := func(at time.Time) *kgo.Record { return &kgo.Record{Key: []byte(s.Key()), Value: value, Timestamp: at} }
	if !c.apply(record(now)) || c.expire(now.Add(ExpireAfter)) {
		t.Fatal("it is not held")
	}
	if c.apply(record(now.Add(RefreshEvery))) {
		t.Error("a refresh changes what is offered")
	}
	if c.expire(now.Add(RefreshEvery+ExpireAfter)) || !c.expire(now.Add(RefreshEvery+ExpireAfter+1)) || c.bytes != 0 {
		t.Errorf("it does not expire in time; %d bytes are held", c.bytes)
	}
}

// TestHostileRecords: whatever stands in the topic, the rest is read, and what there is no
// room for is passed over.
func TestHostileRecords(t *testing.T) {
	w := newWorld(t)
	good := service("helper", "1", wantsText)
	good.Kind, good.Worker, good.Since, good.Lanes = KindService, "w", schemas.AtTime(time.Now()), []string{"fast"}
	change := func(f func(*Service)) []byte {
		s := good
		s.Tasks = slices.Clone(good.Tasks)
		f(&s)
		value, err := json.Marshal(s)
		w.must(err)
		return value
	}
	for _, value := range [][]byte{
		[]byte("no JSON"), []byte("[]"), []byte("{}"), []byte(strings.Repeat("[", 100_000)), []byte("\xff"), []byte("null"),
		change(func(s *Service) { s.Kind = "schedule" }), change(func(s *Service) { s.Worker = "other" }),
		change(func(s *Service) { s.Mode = "" }), change(func(s *Service) { s.Since = schemas.Time{} }),
		change(func(s *Service) { s.Tasks[1].Name = "ask" }), change(func(s *Service) { s.Tasks[0].Name = "" }),
		change(func(s *Service) { s.Tasks[0].Input = jsontext.Value(`{"type": "x"}`) }),
		change(func(s *Service) { s.Tasks[0].Input = jsontext.Value(`{"$ref": "file:///etc/passwd"}`) }),
		change(func(s *Service) { s.Version = "a\x00b" }),
		change(func(s *Service) { s.Description = strings.Repeat("x", MaxServiceBytes) }),
	} {
		w.write(good.Key(), value)
	}
	w.write("service/", nil)
	w.write("schedule/nightly", []byte("{}"))
	w.write("", []byte("{}"))
	w.write("service/chat/fine/w", change(func(s *Service) { s.Name = "fine" }))
	c := w.follow()
	if got := names(c); !slices.Equal(got, []string{"chat/fine"}) {
		t.Errorf("offered: %q\n%s", got, w.logs)
	}
	if n := strings.Count(w.logs.String(), "is not valid"); n != 1 {
		t.Errorf("%d warnings", n)
	}
	if err := c.Healthy(); err != nil {
		t.Error(err)
	}
}

func TestRoomIsBounded(t *testing.T) {
	w := newWorld(t)
	c, err := NewCatalog(CatalogConfig{Kafka: w.kafka, Topics: w.topics, Logger: w.logger()})
	w.must(err)
	for i := range 100 {
		s := service("helper", "1", "")
		s.Kind, s.Worker, s.Since = KindService, strings.Repeat("w", i+1), schemas.AtTime(time.Now())
		s.Description = strings.Repeat("x", MaxServiceBytes/2)
		value, err := s.encode()
		w.must(err)
		c.apply(&kgo.Record{Key: []byte(s.Key()), Value: value, Timestamp: time.Now()})
	}
	if c.bytes > MaxBytes || len(c.held) == 0 || len(c.held) > 20 ||
		strings.Count(w.logs.String(), "more are published") != 1 {
		t.Errorf("%d bytes of %d processors\n%s", c.bytes, len(c.held), w.logs)
	}
}

// TestATopicThatIsMadeAnew: what was known stays until the new topic has been read, and
// then that counts. Whoever runs publishes there at once.
func TestATopicThatIsMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("w1", []string{"fast"}, service("helper", "1", wantsText))
	gone := service("gone", "1", wantsText)
	gone.Kind, gone.Worker, gone.Since = KindService, "w0", schemas.AtTime(time.Now())
	value, err := gone.encode()
	w.must(err)
	w.write(gone.Key(), value)
	c := w.follow()
	_, err = kadm.NewClient(w.client).DeleteTopics(w.bounded(), w.topics.Definitions())
	w.must(err)
	if !slices.Equal(names(c), []string{"chat/gone", "chat/helper"}) {
		t.Errorf("what was known is %v now that the topic is gone", names(c))
	}
	w.create()
	eventually(t, "what is offered stands in the new topic, and nothing else", func() bool {
		return slices.Equal(names(c), []string{"chat/helper"})
	})
	w.offer("w2", []string{"fast"}, service("other", "2", wantsText))
	eventually(t, "the new topic is followed", func() bool {
		return slices.Equal(names(c), []string{"chat/helper", "chat/other"})
	})
}

// TestAPublisherWithoutABroker: it gives up waiting, and stops when told to.
func TestAPublisherWithoutABroker(t *testing.T) {
	t.Parallel()
	logs := new(logtest.Buffer)
	p, err := NewPublisher(PublisherConfig{
		Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}, Services: []Service{service("helper", "1", "")}, Worker: "w",
		Logger: slog.New(slog.NewTextHandler(logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	<-p.First()
	if !strings.Contains(logs.String(), "cannot be published") {
		t.Errorf("the log says %s", logs)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBePublished(t *testing.T) {
	for want, change := range map[string]func(*Service){
		"is no name":         func(s *Service) { s.Name = "a\nb" },
		"at most 523264 can": func(s *Service) { s.Description = strings.Repeat("x", MaxServiceBytes) },
		"at most 1000 can":   func(s *Service) { s.Tasks = make([]Task, maxTasks+1) },
		"encode service":     func(s *Service) { s.Tasks[0].Input = jsontext.Value("{") },
		"its version":        func(s *Service) { s.Version = "\x01" },
	} {
		s := service("helper", "1", "")
		change(&s)
		if _, err := NewPublisher(PublisherConfig{Services: []Service{s}, Worker: "w"}); err == nil ||
			!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "publish service chat/") {
			t.Errorf("%v, want %q", err, want)
		}
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := NewCatalog(CatalogConfig{}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a catalog of no brokers: %v", err)
	}
}

// TestRecordsRoundTrip: what is encoded is decoded as the same, and under no other key.
func TestRecordsRoundTrip(t *testing.T) {
	name := rapid.StringMatching(`[a-zA-Z0-9/._ é-]{1,20}`)
	rapid.Check(t, func(t *rapid.T) {
		s := Service{Kind: KindService, Mode: name.Draw(t, "mode"), Name: name.Draw(t, "name"),
			Version: rapid.StringMatching(`[a-z0-9.]{0,5}`).Draw(t, "version"), Generic: rapid.Bool().Draw(t, "generic"),
			Worker: name.Draw(t, "worker"), Since: schemas.AtTime(time.Unix(rapid.Int64Range(1, 1e9).Draw(t, "since"), 0)),
			Tasks: []Task{}, Lanes: []string{}}
		for _, task := range rapid.SliceOfNDistinct(name, 0, 3, rapid.ID).Draw(t, "tasks") {
			s.Tasks = append(s.Tasks, Task{Name: task, Input: jsontext.Value(wantsText)})
		}
		value, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := decode([]byte(s.Key()), value)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read.encode()
		if err != nil || string(again) != string(value) {
			t.Fatalf("%s became %s, %v", value, again, err)
		}
		if _, err := decode([]byte(s.Key()+"x"), value); err == nil {
			t.Fatal("another key is taken")
		}
	})
}
