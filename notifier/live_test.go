package notifier_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/schemas"
)

func TestLiveShowsWhatCounts(t *testing.T) {
	w := newWorld(t, nil)
	ada := watch(t, w.Notifier, "user_id", "ada")
	bob := watch(t, w.Notifier, "user_id", "bob")
	if !ada.hello.Recovered {
		t.Errorf("hello %+v: nothing is missing from now", ada.hello)
	}

	old := w.fence(1, 100)
	old.say("ada", "a", "a running")
	old.say("bob", "b", "b running")
	again := old.recordAt(old.seq, "bob", schemas.KindState, "b", "b running")
	w.produce(again)
	heir := w.fence(1, 200)
	w.produce(
		old.record("ada", schemas.KindState, "a", "stale"),
		heir.record("", schemas.KindMark, "", ""),
		heir.record("ada", schemas.KindState, "a", "a lost"),
		old.record("bob", schemas.KindState, "b", "stale"),
		heir.record("ada", schemas.KindOutput, "a", "a says"),
		heir.record("", schemas.KindRepeat, "a", ""),
		heir.record("bob", schemas.KindState, "b", "b done"),
		heir.record("ada", schemas.KindState, "a", "a done"),
	)
	ada.expect("a running", "a lost", "a says", "a done")
	ada.expectQuiet()
	bob.expect("b running", "b done")
	bob.expectQuiet()
}

func TestRecordsThatAreNoEvents(t *testing.T) {
	w := newWorld(t, nil)
	ada := watch(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 100)
	value := func(text string) *kgo.Record {
		r := o.record("ada", schemas.KindState, "a", "replaced")
		r.Value = []byte(text)
		return r
	}
	bare := o.record("ada", schemas.KindState, "a", "without headers")
	o.seq--
	bare.Headers = nil
	w.produce(
		bare, value(""), value("not JSON"), value("[1]"), value("null"), value(`{"task_id":"a","user_id":"ada"`), value(`{}`),
		value(`{"task_id":"a","user_id":"bob","message":"of another"}`),
		value(`{"task_id":"a","user_id":"ada","message":"`+"\xff"+`"}`),
		value(`{"task_id":"a","user_id":"ada","cursor":"mine"}`),
		value(`{"task_id":"a","user_id":"ada","kind":"fence"}`),
		value(`{"task_id":"a","user_id":"ada","kind":"checkpoint","message":"a step"}`),
		value("{\"task_id\":\"a\",\"user_id\":\"ada\",\"message\":\"spaced\" }\n "),
	)
	o.say("ada", "a", "fine")
	ada.expect("spaced", "fine")
	ada.expectQuiet()
}

func TestTaskFilter(t *testing.T) {
	w := newWorld(t, nil)
	// "now" is where the notifier has read to, which the witness tells.
	witness := watch(t, w.Notifier, "user_id", "ada")
	o := w.fence(2, 100)
	o.say("ada", "x", "x before")
	o.say("ada", "y", "y before")
	witness.expect("x before", "y before")
	live := watch(t, w.Notifier, "user_id", "ada", "task_id", "x")
	replay := watch(t, w.Notifier, "user_id", "ada", "task_id", "y", "since", "earliest")
	o.say("ada", "y", "y after")
	o.say("ada", "x", "x after")
	live.expect("x after")
	replay.expect("y before", "y after")
	live.expectQuiet()
	replay.expectQuiet()
}

func TestUsersAreApart(t *testing.T) {
	w := newWorld(t, nil)
	users := []string{"ada", "ADA", "ada ", "a", "bob", "ünï", "x&y=z"}
	clients := make([]*client, len(users))
	for i, user := range users {
		clients[i] = watch(t, w.Notifier, "user_id", user)
	}
	o := w.fence(3, 1)
	for range 5 {
		for _, user := range users {
			o.say(user, "t", "for "+user)
		}
	}
	for i, user := range users {
		want := "for " + user
		clients[i].expect(want, want, want, want, want)
		clients[i].expectQuiet()
		past := watch(t, w.Notifier, "user_id", user, "since", "earliest")
		past.expect(want, want, want, want, want)
		past.expectQuiet()
	}
}

func TestLargestEvent(t *testing.T) {
	w := newWorld(t, nil)
	live := watch(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 1)
	big := strings.Repeat("x", schemas.MaxEventBytes-2000)
	o.say("ada", "t", big)
	o.say("ada", "t", "small")
	live.expect(big, "small")
	past := watch(t, w.Notifier, "user_id", "ada", "since", "earliest")
	past.expect(big, "small")
}

// A notifier that starts while a zombie writes folds what was before it, so it
// agrees with those that were there.
func TestStartsInTheMiddle(t *testing.T) {
	w := newWorld(t, nil)
	first := watch(t, w.Notifier, "user_id", "ada")
	zombie := w.fence(0, 100)
	zombie.say("ada", "t", "one")
	heir := w.fence(0, 200)
	heir.say("ada", "t", "two")
	second, _ := w.run()
	late := watch(t, second, "user_id", "ada")
	zombie.say("ada", "t", "stale")
	heir.say("ada", "t", "three")
	first.expect("one", "two", "three")
	late.expect("three")
	first.expectQuiet()
	late.expectQuiet()
}

func TestTopicIsCreatedLater(t *testing.T) {
	w := newBroker(t, nil)
	n, _ := w.launch()
	w.createTopics()
	<-n.Ready()
	ada := watch(t, n, "user_id", "ada")
	w.fence(0, 1).say("ada", "t", "there")
	ada.expect("there")
}
