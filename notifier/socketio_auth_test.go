package notifier_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/notifier"
)

// newTokens is a world with auth on, and what makes tokens that last.
func newTokens(t *testing.T, change func(*notifier.Config)) (*world, func(user string, scopes ...string) string) {
	g := newGuarded(t, change)
	return g.world, func(user string, scopes ...string) string { return g.token(user, time.Hour, scopes...) }
}

func TestSocketIOTokens(t *testing.T) {
	w, token := newTokens(t, nil)
	o := w.fence(0, 1)
	ada := token("ada")

	c := callSocket(t, w.Notifier)
	c.join(`{"token":"` + ada + `"}`)
	c.event("hello")
	o.say("bob", "t", "bob's")
	o.say("ada", "t", "1")
	c.progress("1")
	c.register(`{"user_id":"ada","task_id":"x"}`) // its token counts on
	for _, said := range []string{`{"user_id":"bob"}`, `{"token":"` + token("bob") + `"}`,
		`{"token":"` + ada + `","user_id":"bob"}`} {
		c.emit(`420["register",` + said + `]`)
		if got := c.receive(); !strings.Contains(got, `"status":403`) {
			t.Errorf("%.30s was answered %s", said, got)
		}
	}
	c.quiet()

	stranger := callSocket(t, w.Notifier)
	for _, said := range []string{`{"token":"none"}`, `{"user_id":"ada"}`, `{"token":"` + ada + `","user_id":"bob"}`} {
		stranger.emit("40" + said)
		if got := stranger.receive(); !strings.HasPrefix(got, `44{"message":"`) || !strings.Contains(got, `"status":40`) {
			t.Errorf("%.30s was answered %s", said, got)
		}
	}
	stranger.join("") // and registers with a token
	stranger.register(`{"token":"` + token("bob") + `","since":"earliest"}`)
	stranger.progress("bob's")
	stranger.quiet()
}

// An admin watches several users; a token that may not cannot take that over.
func TestSocketIOAdmin(t *testing.T) {
	w, token := newTokens(t, nil)
	admin := token("root", auth.DefaultAdminScope)
	c := callSocket(t, w.Notifier)
	c.join(`{"token":"` + admin + `","user_id":"ada"}`)
	c.event("hello")
	c.register(`{"user_id":"bob"}`)
	o := w.fence(0, 1)
	o.say("ada", "t", "ada's")
	o.say("bob", "t", "bob's")
	c.progress("ada's", "bob's")
	c.emit(`420["register",{"token":"` + token("bob") + `"}]`)
	if got := c.receive(); !strings.Contains(got, `"status":403`) {
		t.Errorf("a token that covers less was answered %s", got)
	}
	c.quiet()
}

func TestSocketIOTicket(t *testing.T) {
	w, token := newTokens(t, nil)
	r, err := http.NewRequest(http.MethodPost, "http://"+w.Addr()+"/v1/tickets", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token("ada"))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var bought struct {
		Ticket string `json:"ticket"`
	}
	if err := json.UnmarshalRead(res.Body, &bought); err != nil || bought.Ticket == "" {
		t.Fatalf("no ticket: %d, %v", res.StatusCode, err)
	}
	c := callPolling(t, w.Notifier, "ticket", bought.Ticket) // asked for once, whatever the number of requests
	c.join("")
	c.event("hello")
	c.upgrade()
	c.register(`{"task_id":"x"}`)
	w.fence(0, 1).say("ada", "t", "hers")
	c.progress("hers")
	other := callSocket(t, w.Notifier, "ticket", bought.Ticket)
	other.emit("40")
	if got := other.receive(); !strings.Contains(got, `"status":401`) {
		t.Errorf("a used ticket was answered %s", got)
	}
}
