package taskview

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// giveUp writes the dead letter of a task's webhook, as webhooks do.
func (b *bench) giveUp(user, task, lane string, partition int32, why string, headers ...kgo.RecordHeader) {
	b.t.Helper()
	event := schemas.Event{
		EventID: "e", UserID: user, TaskID: task, Kind: schemas.KindState, Status: schemas.Completed,
		Time:   schemas.AtTime(epoch0),
		Source: &schemas.Source{Topic: b.topics.Lane(lane), Partition: partition, Offset: 0},
	}
	value, err := event.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.deadLetter(value, append([]kgo.RecordHeader{
		{Key: schemas.HeaderReason, Value: []byte(schemas.ReasonWebhookFailed)},
		{Key: schemas.HeaderError, Value: []byte(why)},
		{Key: schemas.HeaderAttempt, Value: []byte("3")},
	}, headers...)...)
}

func (b *bench) deadLetter(value []byte, headers ...kgo.RecordHeader) {
	b.t.Helper()
	r := &kgo.Record{Topic: b.topics.DeadLetters(), Value: value, Headers: headers}
	if err := b.client.ProduceSync(bounded(b.t), r).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// hooked puts a task with a callback on its lane and ends it.
func (b *bench) hooked(user, id string) {
	b.t.Helper()
	b.task("fast", 0, strings.Replace(taskJSON(user, id), "{", `{"callback_url":"http://127.0.0.1:9/",`, 1))
	b.event("fast", 0, completed(user, id, "1"))
}

func (v *View) webhookOf(t *testing.T, user, id string) *schemas.WebhookOutcome {
	t.Helper()
	task, err := v.Get(bounded(t), schemas.TaskKey{UserID: user, TaskID: id})
	if err != nil {
		t.Fatal(err)
	}
	return task.Webhook
}

// TestWebhookThatWasGivenUp shows in its task, whichever of the two is read first, in a
// view that goes on and in one that is built anew; others' do not, nor do other letters.
func TestWebhookThatWasGivenUp(t *testing.T) {
	b := newBench(t)
	const why = "127.0.0.1 is loopback, no public address; --webhook-allow can name it"
	b.giveUp("ada", "early", "fast", 0, why) // before its task is known
	b.deadLetter([]byte("not JSON"), kgo.RecordHeader{Key: schemas.HeaderReason,
		Value: []byte(schemas.ReasonWebhookFailed)})
	b.deadLetter([]byte("{}"), kgo.RecordHeader{Key: schemas.HeaderReason, Value: []byte(schemas.ReasonWebhookFailed)})
	b.giveUp("ada", "elsewhere", "ghost", 0, why)
	b.giveUp("bob", "fine", "fast", 0, why) // another user's task with the same id
	b.giveUp("ada", "fine", "heavy", 0, why)
	dir := t.TempDir()
	v, stop := b.start(b.config(dir))
	b.hooked("ada", "early")
	b.hooked("ada", "fine")
	b.hooked("ada", "late")
	b.await(v, "ada", "late", schemas.Completed)
	b.giveUp("ada", "late", "fast", 0, strings.Repeat("long \xff", maxWebhookError))
	for _, id := range []string{"early", "late"} {
		kafkatest.Eventually(t, "the webhook of "+id, func() bool { return v.webhookOf(t, "ada", id) != nil })
	}
	check := func(v *View, how string) {
		t.Helper()
		early, late := v.webhookOf(t, "ada", "early"), v.webhookOf(t, "ada", "late")
		if early == nil || early.Error != why || early.Tries != 3 || early.Status != "failed" || early.Time.IsZero() {
			t.Errorf("%s: %+v", how, early)
		}
		if late == nil || len(late.Error) > maxWebhookError || !strings.HasPrefix(late.Error, "long ") {
			t.Errorf("%s: %+v", how, late)
		}
		if other := v.webhookOf(t, "ada", "fine"); other != nil {
			t.Errorf("%s: a webhook of another task shows: %+v", how, other)
		}
		tasks, _, err := v.List(bounded(t), Filter{UserID: "ada"})
		if err != nil || len(tasks) != 3 {
			t.Errorf("%s: lists %d tasks, %v: a dead letter makes no task", how, len(tasks), err)
		}
	}
	check(v, "at first")
	stop()
	again, stop := b.start(b.config(dir)) // goes on where the first stood
	b.await(again, "ada", "late", schemas.Completed)
	check(again, "again")
	stop()
	fresh, stop := b.start(b.config(t.TempDir()))
	b.await(fresh, "ada", "late", schemas.Completed)
	kafkatest.Eventually(t, "the webhooks", func() bool {
		return fresh.webhookOf(t, "ada", "early") != nil && fresh.webhookOf(t, "ada", "late") != nil
	})
	check(fresh, "built anew")
	stop()
}

// TestWebhooksAreForgottenWithTheirTasks: the table does not grow for ever.
func TestWebhooksAreForgottenWithTheirTasks(t *testing.T) {
	ctx := bounded(t)
	s, err := openStore(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	b := newBatch()
	old := runKey{schemas.TaskKey{UserID: "ada", TaskID: "old"}, "fast", 0}
	young := runKey{schemas.TaskKey{UserID: "ada", TaskID: "young"}, "fast", 0}
	b.webhooks[old] = schemas.WebhookOutcome{Status: schemas.WebhookFailed, Error: "why", Time: schemas.AtTime(epoch0)}
	b.webhooks[young] = schemas.WebhookOutcome{Status: schemas.WebhookFailed, Error: "why",
		Time: schemas.AtTime(epoch0.Add(time.Hour))}
	if err := s.commit(ctx, b); err != nil {
		t.Fatal(err)
	}
	if _, err := s.retain(ctx, epoch0.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for run, want := range map[runKey]bool{old: false, young: true} {
		if got, err := s.webhook(ctx, run); err != nil || (got != nil) != want {
			t.Errorf("%s: %+v, %v", run.TaskID, got, err)
		}
	}
	if _, err := s.write.ExecContext(ctx, "UPDATE webhooks SET data = 'x'"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.webhook(ctx, young); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a row that is damaged: %v", err)
	}
}
