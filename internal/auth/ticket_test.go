package auth

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func newTestTickets(t testing.TB, secret string) *tickets {
	t.Helper()
	all, err := newTickets([]byte(secret))
	must(t, err)
	return all
}

func TestTicketStandsForItsUserOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(t)
		for _, who := range []Identity{
			{User: "alice", Expires: time.Now().Add(time.Hour)}, {User: "root", Admin: true, Expires: time.Now().Add(time.Hour)},
			{User: strings.Repeat("ü", 200), Expires: time.Now().Add(time.Hour)}, {User: "for ever"},
		} {
			text, expires := v.Ticket(who)
			if left := time.Until(expires); left <= 0 || left > ticketLifetime {
				t.Errorf("a ticket for %v", left)
			}
			got, refused := v.Redeem(text)
			if refused != nil || got.User != who.User || got.Admin != who.Admin || !got.Expires.Equal(who.Expires) {
				t.Errorf("%+v became %+v, %v", who, got, refused)
			}
			if _, refused := v.Redeem(text); refused == nil || refused.Reason != UsedTicket {
				t.Errorf("a second time: %v", refused)
			}
		}
	})
}

func TestTicketEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(t)
		late, expires := v.Ticket(Identity{User: "alice", Expires: time.Now().Add(time.Hour)})
		// It does not outlive the token it was had for.
		short, ends := v.Ticket(Identity{User: "alice", Expires: time.Now().Add(2 * time.Second)})
		if left := time.Until(ends); left > 2*time.Second {
			t.Errorf("a ticket for %v", left)
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // the bubble's clock
		if _, refused := v.Redeem(short); refused == nil || refused.Reason != LateTicket {
			t.Errorf("after the token's end: %v", refused)
		}
		time.Sleep(time.Until(expires)) //nolint:forbidigo // the bubble's clock
		if _, refused := v.Redeem(late); refused == nil || refused.Reason != LateTicket {
			t.Errorf("after its end: %v", refused)
		}
	})
}

// However long a used ticket could still be taken, it is remembered.
func TestUsedTicketIsRememberedWhileItCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, err := newTickets([]byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		now := all.turned
		used := map[string]bool{}
		fresh := []string{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40_000).Draw(t, "ms")) * time.Millisecond)
			// The clock of the instance that makes it may be ahead.
			ahead := time.Duration(rapid.IntRange(0, 60).Draw(t, "ahead")) * time.Second
			text, _ := all.issue(Identity{User: "alice"}, now.Add(ahead))
			fresh = append(fresh, text)
			pick := rapid.SampledFrom(fresh).Draw(t, "ticket")
			_, refused := all.redeem(pick, now)
			if refused == nil && used[pick] {
				t.Fatal("a ticket was taken twice")
			}
			if refused == nil {
				used[pick] = true
			}
		}
	})
}

// Of many that come at once with one ticket, one gets in.
func TestTicketIsTakenOnceAtATime(t *testing.T) {
	v := newVerifier(t)
	text, _ := v.Ticket(Identity{User: "alice", Expires: time.Now().Add(time.Hour)})
	var in, used int
	var mu sync.Mutex
	var callers sync.WaitGroup
	for range 32 {
		callers.Go(func() {
			_, refused := v.Redeem(text)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case refused == nil:
				in++
			case refused.Reason == UsedTicket:
				used++
			}
		})
	}
	callers.Wait()
	if in != 1 || used != 31 {
		t.Errorf("%d got in and %d came too late", in, used)
	}
}

func TestUsedTicketsAreBounded(t *testing.T) {
	all := newTestTickets(t, "secret")
	now := all.turned
	for i := range maxUsed {
		var n nonce
		n[0], n[1], n[2] = byte(i), byte(i>>8), byte(i>>16)
		if refused := all.use(n, now); refused != nil {
			t.Fatal(refused)
		}
	}
	text, _ := all.issue(Identity{User: "alice"}, now)
	if _, refused := all.redeem(text, now); refused == nil || refused.Reason != TicketsFull {
		t.Errorf("one more: %v", refused)
	}
	now = now.Add(ticketLifetime + ticketSkew + time.Second)
	text, _ = all.issue(Identity{User: "alice"}, now)
	if _, refused := all.redeem(text, now); refused != nil {
		t.Errorf("after a while: %v", refused)
	}
}

func TestForgedTickets(t *testing.T) {
	all, other := newTestTickets(t, "secret"), newTestTickets(t, "other")
	now := time.Now()
	valid, _ := all.issue(Identity{User: "alice", Expires: now.Add(time.Hour)}, now)
	raw, err := base64.RawURLEncoding.DecodeString(valid)
	must(t, err)
	foreign, _ := other.issue(Identity{User: "alice"}, now)
	ahead, _ := all.issue(Identity{User: "alice"}, now.Add(10*time.Minute))
	nobody, _ := all.issue(Identity{}, now)
	long, _ := all.issue(Identity{User: strings.Repeat("u", 201)}, now)
	forged := map[string]string{
		"of another installation": foreign, "of the future": ahead, "of nobody": nobody, "of a user that cannot be": long,
		"nothing": "", "no base64": "***", "padding": valid + "=", "short": valid[:20],
		"large":   strings.Repeat("A", maxTicketBytes+1),
		"a token": forge(`{"alg":"HS256"}`, said(good), hmacWith([]byte("secret"))),
		"zeros":   base64.RawURLEncoding.EncodeToString(make([]byte, 100)),
		"cut":     base64.RawURLEncoding.EncodeToString(raw[:len(raw)-1]),
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		forged["bit of byte "+string(rune('0'+i/10))+string(rune('0'+i%10))] = base64.RawURLEncoding.EncodeToString(changed)
	}
	for name, text := range forged {
		if who, refused := all.redeem(text, now); refused == nil || refused.Reason != BadTicket {
			t.Errorf("%s: %+v, %v", name, who, refused)
		}
	}
	if _, refused := all.redeem(valid, now); refused != nil {
		t.Errorf("the one that is right: %v", refused)
	}
}

// Instances with the same secret take each other's tickets, and a ticket's key
// signs no token.
func TestTicketSecret(t *testing.T) {
	shared := writeFile(t, []byte("the secret of tickets, of thirty-two bytes"))
	with := func(path string) *Verifier { return newVerifier(t, func(c *Config) { c.TicketSecretFile = path }) }
	one, two, three := with(shared), with(shared), newVerifier(t)
	text, _ := one.Ticket(Identity{User: "alice"})
	if _, refused := three.Redeem(text); refused == nil || refused.Reason != BadTicket {
		t.Errorf("another secret: %v", refused)
	}
	if _, refused := two.Redeem(text); refused != nil {
		t.Errorf("the same secret: %v", refused)
	}
	// Without one of their own, installations with the same secret for tokens.
	text, _ = three.Ticket(Identity{User: "alice"})
	if _, refused := newVerifier(t).Redeem(text); refused != nil {
		t.Errorf("the same secret of tokens: %v", refused)
	}
	// With public keys only, this instance alone.
	alone := func() *Verifier { return newVerifier(t, func(c *Config) { c.SecretFiles = nil }) }
	a, b := alone(), alone()
	text, _ = a.Ticket(Identity{User: "alice"})
	if _, refused := b.Redeem(text); refused == nil || refused.Reason != BadTicket {
		t.Errorf("another instance: %v", refused)
	}
	three.mustRefuse(t, forge(`{"alg":"HS256"}`, said(good), hmacWith(three.tickets.key)), Signature)
}
