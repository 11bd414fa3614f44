package shard

import (
	"testing"

	"github.com/aiecs/tasklane/schemas"
)

// TestOnlyTheEndCarriesTheCallback: the record of the terminal event says where
// it is delivered to, and no record before it does.
func TestOnlyTheEndCarriesTheCallback(t *testing.T) {
	s, d := running(t)
	j := job(0, "a")
	j.Task.CallbackURL = "https://example.org/hook"
	s.Receive(j)
	if !s.Begin(j) {
		t.Fatal("the job cannot begin")
	}
	if got := d.last(); got.Callback != "" || got.Event.Status != schemas.Running {
		t.Errorf("%s carries the callback %q", got.Event.Status, got.Callback)
	}
	s.Conclude(j, s.jobs.events.Failed(j, schemas.CodeServiceError, "no"))
	if got := d.last(); got.Callback != "https://example.org/hook" || got.Event.Status != schemas.Failed {
		t.Errorf("%s carries the callback %q", got.Event.Status, got.Callback)
	}
}

func TestCallbackThatIsNoURLIsLeftOut(t *testing.T) {
	end := &schemas.Event{Kind: schemas.KindState, Status: schemas.Failed}
	for url, want := range map[string]string{
		"": "", "https://example.org/a?b=c": "https://example.org/a?b=c", "ftp://example.org/": "",
		"https://exa mple.org/": "",
	} {
		if got := callbackOf(&schemas.Task{CallbackURL: url}, end); got != want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
	repeat := &schemas.Event{Kind: schemas.KindRepeat, Status: schemas.Pending}
	if got := callbackOf(&schemas.Task{CallbackURL: "https://example.org/"}, repeat); got != "" {
		t.Errorf("a repeat is delivered to %q", got)
	}
}
