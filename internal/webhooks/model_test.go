package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// TestCandidateIsWhatItsRecordSays: each thing that an event says of itself has to be
// what its stamp, key and partition say.
func TestCandidateIsWhatItsRecordSays(t *testing.T) {
	topics := schemas.Topics{Prefix: "x."}
	stamp := fold.Stamp{Shard: "fast/3", Epoch: 7, Seq: 9}
	for want, change := range map[string]func(*candidateEvent, *event){
		"":                                   func(*candidateEvent, *event) {},
		"it is in another partition":         func(_ *candidateEvent, e *event) { e.stamp.Shard = "fast/4" },
		"it is in another partition ":        func(_ *candidateEvent, e *event) { e.stamp.Shard = "none" },
		"it does not end its task":           func(s *candidateEvent, _ *event) { s.Status = schemas.Running },
		"it does not end its task ":          func(s *candidateEvent, _ *event) { s.Kind = schemas.KindProgress },
		"its event_id is not that":           func(s *candidateEvent, _ *event) { s.EventID = "fast/3-7-8" },
		"its event_id is not that ":          func(_ *candidateEvent, e *event) { e.stamp.Epoch++ },
		"its user_id is not its key":         func(s *candidateEvent, _ *event) { s.UserID = "mallory" },
		"its user_id is not its key ":        func(_ *candidateEvent, e *event) { e.user = "mallory" },
		"its source is not its shard's lane": func(s *candidateEvent, _ *event) { s.Source = nil },
		"its source is not its shard's lane ": func(s *candidateEvent,
			_ *event) {
			s.Source.Topic = topics.Lane("heavy")
		},
		"its source is not its shard's lane  ": func(s *candidateEvent, _ *event) { s.Source.Partition = 4 },
	} {
		says := candidateEvent{
			EventID: stamp.EventID(), TaskID: "t", UserID: "ada", Kind: schemas.KindState, Status: schemas.Failed,
			Source: &schemas.Source{Topic: topics.Lane("fast"), Partition: 3, Offset: 17},
		}
		e := event{stamp: stamp, user: "ada", offset: 4}
		change(&says, &e)
		value, err := json.Marshal(says)
		if err != nil {
			t.Fatal(err)
		}
		e.value = value
		got, problem := readCandidate(topics, 3, &e)
		if wanted := strings.TrimSpace(want); wanted == "" && problem != "" || !strings.HasPrefix(problem, wanted) {
			t.Errorf("%q, want %q", problem, want)
		}
		if at := (schemas.Place{Topic: "x.tasks.fast", Partition: 3, Offset: 17}); want == "" && (got.lane != at ||
			got.id != "fast/3-7-9" || got.offset != 4) {
			t.Errorf("read as %+v", got)
		}
	}
	if _, problem := readCandidate(topics, 3, &event{stamp: stamp, value: []byte("[")}); problem != "it is no event" {
		t.Errorf("%q", problem)
	}
}

// FuzzReadCandidate: whatever a record says, what is read of it is about the partition
// and user that it stands under, and the task of a record is found by both its ids.
func FuzzReadCandidate(f *testing.F) {
	f.Add(`{"event_id":"fast/3-7-9","task_id":"t","user_id":"ada","kind":"state","status":"completed",`+
		`"source":{"topic":"tasks.fast","partition":3,"offset":1}}`,
		`{"task_id":"t","user_id":"ada","callback_url":"http://x/"}`)
	f.Add(`{"source":{"wait":"7-1","wait_offset":5}}`, `{`)
	f.Add(`null`, `[]`)
	f.Fuzz(func(t *testing.T, value, record string) {
		e := event{stamp: fold.Stamp{Shard: "fast/3", Epoch: 7, Seq: 9}, user: "ada", value: []byte(value)}
		c, problem := readCandidate(schemas.Topics{}, 3, &e)
		if problem != "" {
			return
		}
		if c.userID != "ada" || c.id != "fast/3-7-9" || c.lane.Topic != "tasks.fast" || c.lane.Partition != 3 {
			t.Fatalf("%q is read as %+v", value, c)
		}
		if url, mine := c.callback([]byte(record)); url != "" && (!mine || !strings.Contains(record, "ada")) {
			t.Fatalf("%q gives %q of another's task", record, url)
		}
	})
}

// TestDeadLetterSaysWhy: and where it would have gone, if that is known.
func TestDeadLetterSaysWhy(t *testing.T) {
	topics := schemas.Topics{Prefix: "x."}
	e := entry{partition: 2, id: "fast/2-7-9", user: "ada", url: "https://example.org/?key=k", body: []byte("{}")}
	of := schemas.Place{Topic: topics.Webhooks(), Partition: 2, Offset: 40}
	for _, url := range []string{e.url, ""} {
		e.url = url
		r := deadLetter(topics, &e, of, "answered 500", 16)
		if r.Topic != "x.tasks.dlq" || r.Partition != 2 || string(r.Key) != "ada" || string(r.Value) != "{}" {
			t.Errorf("the record is %+v", r)
		}
		for name, want := range map[string]string{
			schemas.HeaderReason: schemas.ReasonWebhookFailed, schemas.HeaderError: "answered 500",
			schemas.HeaderTopic:     of.Topic,
			schemas.HeaderPartition: "2", schemas.HeaderOffset: "40", schemas.HeaderAttempt: "16",
			schemas.HeaderDelivery: e.id, schemas.HeaderCallback: url,
		} {
			if got := headerOf(r, name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if n := len(r.Headers); url == "" && n != 7 || url != "" && n != 8 {
			t.Errorf("%d headers", n)
		}
	}
}

// TestJudgeAgainstItsRules, for any answer: a delivery ends or goes on, has a dead letter
// if and only if it has failed, and its user's others wait only where the receiver asked.
func TestJudgeAgainstItsRules(t *testing.T) {
	c := Config{}.withDefaults()
	now := time.Unix(1767222000, 0)
	rapid.Check(t, func(t *rapid.T) {
		d := &delivery{entry: entry{id: "i", user: "u", url: "http://a/", tries: rapid.IntRange(0, 20).Draw(t,
			"tries")}}
		d.created = now.Add(-time.Duration(rapid.IntRange(0, 80).Draw(t, "hours")) * time.Hour)
		a := answer{
			status: rapid.SampledFrom([]int{0, 200, 204, 299, 301, 400, 404, 408, 410, 429, 500, 503}).Draw(t,
				"status"),
			after: time.Duration(rapid.IntRange(0, 30).Draw(t, "after")) * time.Hour, final: rapid.Bool().Draw(t,
				"final"),
		}
		if a.status < 200 || a.status > 299 {
			a.reason = "why"
		}
		a.final = a.final && a.status == 0
		a.refused = a.final
		j := c.judge(d, a, []byte("{}"), now)
		switch {
		case (j.deadLetter != "") != (j.next.outcome == failed):
			t.Fatalf("%+v: a letter %q with the outcome %q", a, j.deadLetter, j.next.outcome)
		case (j.next.outcome == delivered) != (a.reason == ""):
			t.Fatalf("%+v is %q", a, j.next.outcome)
		case j.next.outcome == gone && a.status != http.StatusGone, a.final && j.next.outcome != failed:
			t.Fatalf("%+v is %q", a, j.next.outcome)
		case j.pause > 0 && a.status != http.StatusTooManyRequests && a.status != http.StatusServiceUnavailable:
			t.Fatalf("%+v has others wait for %v", a, j.pause)
		case a.final && j.target != unknown, a.status == 200 && j.target != works, a.status == 500 && j.target != fails:
			t.Fatalf("%+v says %v of the target", a, j.target)
		}
		if j.next.outcome != "" {
			return
		}
		if j.next.tries != d.tries+1 || j.next.tries >= c.MaxTries || j.next.due.Before(now.Add(max(a.after,
			c.Backoff))) || j.next.due.After(d.created.Add(c.MaxAge)) {
			t.Fatalf("%+v: try %d is due at %v", a, j.next.tries, j.next.due)
		}
	})
}

// TestShort: a text of a receiver's fits a header and a line of a log.
func TestShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.Byte(), 0, 3*maxReasonBytes).Draw(t, "text"))
		got := short(text)
		if len(got) > maxReasonBytes || !utf8.ValidString(got) || strings.ContainsFunc(got,
			func(r rune) bool { return r < ' ' }) || short(got) != got {
			t.Fatalf("%q becomes %q", text, got)
		}
		if plain := "answered 500: no"; short(plain) != plain {
			t.Fatal("a plain text is changed")
		}
	})
}

// TestRouteRests: a route that fails rests for longer and longer, never beyond its
// bounds, and one answer that says the receiver works ends that.
func TestRouteRests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 8
		r := &route{limit: most}
		now, failures := time.Unix(1767222000, 0), 0
		for range rapid.IntRange(1, 40).Draw(t, "answers") {
			now = now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "seconds")) * time.Second)
			if rapid.IntRange(0, 4).Draw(t, "works") == 0 {
				before := r.limit
				r.succeeded(most)
				failures = 0
				if !r.rest.IsZero() || r.limit != min(before+1, most) {
					t.Fatalf("after one that works: rest %v, limit %d and was %d", r.rest, r.limit, before)
				}
				continue
			}
			resting := now.Before(r.rest)
			pause := time.Duration(rapid.SampledFrom([]int{0, 0, 30, 7200, 90000}).Draw(t, "pause")) * time.Second
			before := r.rest
			r.failed(now, pause)
			if !resting {
				failures++
			}
			if r.failures != failures || r.limit < 1 || r.limit > most || r.rest.Before(before) {
				t.Fatalf("%d failures, counted %d; limit %d; rest %v and was %v", failures, r.failures, r.limit,
					r.rest, before)
			}
			if r.rest.After(now.Add(longestPause)) && r.rest.After(before) {
				t.Fatalf("it rests for %v", r.rest.Sub(now))
			}
			if failures >= failuresBeforeRest && !resting && (!now.Before(r.rest) || r.limit != 1) {
				t.Fatalf("after %d failures it does not rest", failures)
			}
		}
	})
}

// TestBacklogIsIdle once it is closed and no try runs, and not before.
func TestBacklogIsIdle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBacklog(context.Background(), 0)
		defer b.cancel()
		trying, closed := 0, false
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				if !closed {
					b.trying++
					trying++
				}
			case 1:
				if trying > 0 {
					b.trying--
					trying--
					b.settle()
				}
			default:
				b.close()
				closed = true
			}
			idle := false
			select {
			case <-b.idle:
				idle = true
			default:
			}
			if want := closed && trying == 0; idle != want {
				t.Fatalf("idle: %t, closed: %t, with %d tries", idle, closed, trying)
			}
			if idle {
				return
			}
		}
	})
}

// TestTasksAgainstAModel: any places of lanes, in any order and number, also of partitions
// and topics that are none, and with a transaction's markers between.
func TestTasksAgainstAModel(t *testing.T) {
	w := newWorldOn(t, transactionalBroker(t))
	lane := w.topics.Lane("fast")
	want := map[schemas.Place]string{}
	producer, err := kgo.NewClient(append(w.writer.Opts(), kgo.TransactionalID(w.topics.Prefix+"model"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for batch := range 12 {
		if err := producer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			r := &kgo.Record{Topic: lane, Partition: int32(i % 2), Value: fmt.Append(nil, batch, "/", i)}
			if err := producer.ProduceSync(w.context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
			want[schemas.Place{Topic: lane, Partition: r.Partition, Offset: r.Offset}] = string(r.Value)
		}
		if err := producer.EndTransaction(w.context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	tasks, err := newTasks(w.config().Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer tasks.close()
	checks := 0
	rapid.Check(t, func(rt *rapid.T) {
		if checks++; checks > 20 { // each asks a broker
			return
		}
		places := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) schemas.Place {
			return schemas.Place{
				Topic:     rapid.SampledFrom([]string{lane, lane, lane, w.topics.Lane("ghost")}).Draw(rt, "topic"),
				Partition: rapid.Int32Range(0, worldPartitions).Draw(rt, "partition"), Offset: rapid.Int64Range(0,
					60).Draw(rt, "offset"),
			}
		}), 0, 12).Draw(rt, "places")
		found, err := tasks.values(w.context(), places)
		if err != nil {
			rt.Fatal(err)
		}
		for _, at := range places {
			if value, there := want[at]; string(found[at]) != value || !there && found[at] != nil {
				rt.Errorf("%v is %q, want %q", at, found[at], value)
			}
		}
	})
}

// TestSecretsAreChangedWithoutALoss: with the old and the new one a delivery that was
// written under the old goes on, and is verified by both.
func TestSecretsAreChangedWithoutALoss(t *testing.T) {
	w := newWorld(t)
	next, err := schemas.NewWebhookSecret([]byte("the next one of this installation"))
	if err != nil {
		t.Fatal(err)
	}
	r := w.moody() // verifies with the old one
	r.mood.Store(http.StatusBadGateway)
	w.fence("fast/0", 7)
	id := w.end("fast/0", 7, "alice", r.URL)
	c, stop := w.dispatcher(w.config())
	r.await("a try", func() bool { return c.metrics.retried.Get() > 0 })
	stop()
	r.mood.Store(http.StatusOK)
	both := w.config()
	both.Secrets = []schemas.WebhookSecret{next, w.secret}
	c, stop = w.dispatcher(both)
	r.await("the delivery", func() bool { return c.metrics.delivered.Get() == 1 })
	stop()
	if r.count(id) != 1 {
		t.Errorf("it was taken %d times", r.count(id))
	}
}

// TestBodiesInMemoryAreBounded: what there is no room for is read from the log again, and
// nothing is kept when all is done.
func TestBodiesInMemoryAreBounded(t *testing.T) {
	w := newWorld(t)
	hold := make(chan struct{})
	r := w.receive(func(string, int) int { <-hold; return http.StatusOK })
	w.fence("fast/0", 7)
	var ids []string
	for i := range 20 {
		ids = append(ids, w.end("fast/0", 7, fmt.Sprint("user-", i), r.URL))
	}
	cfg := w.config()
	cfg.Slots, cfg.TargetSlots, cfg.BodyBytes = 2, 2, 1000 // some three events
	c, stop := w.dispatcher(cfg)
	r.await("all to be open", func() bool { return c.metrics.made.Get() == 20 })
	kept := func() int {
		m := c.current()
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.bodies
	}
	if n := kept(); n > cfg.BodyBytes {
		t.Errorf("%d bytes are kept, of %d", n, cfg.BodyBytes)
	}
	close(hold)
	r.await("the deliveries", func() bool { return c.metrics.delivered.Get() == 20 })
	if n := kept(); n != 0 || c.metrics.reread.Get() < 10 {
		t.Errorf("%d bytes are kept at the end; %d bodies were read again", n, c.metrics.reread.Get())
	}
	stop()
	if !r.all(ids, 1)() {
		t.Error("not all were posted")
	}
}

// TestStopCutsOffWhatHangs: it takes no longer than the drain time, and another
// dispatcher posts the event again.
func TestStopCutsOffWhatHangs(t *testing.T) {
	w := newWorld(t)
	hang := make(chan struct{})
	r := w.receive(func(_ string, try int) int {
		if try == 1 {
			<-hang
		}
		return http.StatusOK
	})
	w.fence("fast/0", 7)
	id := w.end("fast/0", 7, "alice", r.URL)
	cfg := w.config()
	cfg.DrainTimeout, cfg.Timeout = 50*time.Millisecond, patience
	_, stop := w.dispatcher(cfg)
	r.await("a try", func() bool { return r.tries(id) == 1 })
	began := time.Now()
	stop()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("stopping took %v", took)
	}
	next, stop := w.dispatcher(w.config())
	r.await("the delivery", func() bool { return next.metrics.delivered.Get() == 1 })
	stop()
	close(hang)
	if r.tries(id) != 2 || next.metrics.made.Get() != 0 {
		t.Errorf("%d tries, %d made anew", r.tries(id), next.metrics.made.Get())
	}
}
