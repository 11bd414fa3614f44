package webhooks

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/ssrf"
	"github.com/aiecs/tasklane/schemas"
)

func testSender(t *testing.T, timeout time.Duration) *sender {
	t.Helper()
	var secrets []schemas.WebhookSecret
	for _, fill := range []string{"a", "b"} {
		secret, err := schemas.ParseWebhookSecret(strings.Repeat(fill, 32))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, secret)
	}
	c := Config{Secrets: secrets, Timeout: timeout,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}.withDefaults()
	s := newSender(&c)
	t.Cleanup(s.close)
	return s
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestSenderSignsWithEverySecret(t *testing.T) {
	s := testSender(t, patience)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		for _, secret := range s.secrets {
			if !secret.Verify("id-1", h.Get(schemas.WebhookTimestamp), body, h.Get(schemas.WebhookSignature)) {
				t.Errorf("a signature is missing in %q", h.Get(schemas.WebhookSignature))
			}
		}
		if h.Get("Content-Type") != "application/json" || h.Get("Authorization") != "" || string(body) != "{}" {
			t.Errorf("got %v with %s", h, body)
		}
	})
	if a := s.send(t.Context(), &entry{id: "id-1", url: url}, []byte("{}")); a.reason != "" ||
		a.status != http.StatusOK {
		t.Errorf("answered %+v", a)
	}
}

func TestSenderFollowsNoRedirect(t *testing.T) {
	var followed atomic.Bool
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	a := testSender(t, patience).send(t.Context(), &entry{id: "i", url: url}, []byte("{}"))
	if followed.Load() || a.status != http.StatusTemporaryRedirect ||
		!strings.Contains(a.reason, "redirects are not followed") {
		t.Errorf("followed: %v, %+v", followed.Load(), a)
	}
}

// TestSenderUsesNoProxy: one from the environment would make the connection out of
// the guard's sight.
func TestSenderUsesNoProxy(t *testing.T) {
	var candidateEvent atomic.Bool
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { candidateEvent.Store(true) })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	a := testSender(t, patience).send(t.Context(), &entry{id: "i", url: "http://192.168.7.7/"}, []byte("{}"))
	if candidateEvent.Load() || !a.refused || !strings.Contains(a.reason, "private") {
		t.Errorf("the proxy was asked: %v, %+v", candidateEvent.Load(), a)
	}
}

func TestSenderReadsLittleOfALongAnswer(t *testing.T) {
	var wrote atomic.Int64
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		for chunk := make([]byte, 32<<10); ; {
			n, err := w.Write(chunk)
			if wrote.Add(int64(n)); err != nil {
				return
			}
		}
	})
	a := testSender(t, patience).send(t.Context(), &entry{id: "i", url: url}, []byte("{}"))
	if a.status != http.StatusBadRequest || len(a.reason) > shownAnswerBytes+100 {
		t.Errorf("answered %d with %d bytes of reason", a.status, len(a.reason))
	}
}

func TestSenderWaitsNoLongerThanItsTime(t *testing.T) {
	hang := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) { <-hang })
	a := testSender(t, 30*time.Millisecond).send(t.Context(), &entry{id: "i", url: url}, []byte("{}"))
	close(hang)
	if a.status != 0 || a.reason != "no answer within 30ms" || a.works() {
		t.Errorf("answered %+v", a)
	}
}

// TestSenderTellsNoSecretOfAURL: reasons go to logs and dead letters' headers.
func TestSenderTellsNoSecretOfAURL(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	s := testSender(t, patience)
	for _, url := range []string{"http://" + closed + "/?key=hush", "https://" + closed + "/hush",
		"http://10.0.0.1/hush"} {
		if a := s.send(t.Context(), &entry{id: "i", url: url}, nil); a.reason == "" || strings.Contains(a.reason, "hush") {
			t.Errorf("%s: %+v", url, a)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := s.send(ctx, &entry{id: "i", url: "http://" + closed + "/hush"}, nil); a.status != 0 || a.reason == "" {
		t.Errorf("cancelled: %+v", a)
	}
}

// TestOneAddressIsNotTheName: of a name with an address that may not be posted to and
// one that may, whose server is restarting, only the second decides.
func TestOneAddressIsNotTheName(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	_ = listener.Close()
	s := testSender(t, patience)
	for _, addresses := range [][]string{{"::1", "127.0.0.1"}, {"127.0.0.1", "10.0.0.1"}} {
		s.client.Transport = testGuard(t, addresses...).Transport()
		a := s.send(t.Context(), &entry{id: "i", url: "http://both.test:" + port + "/"}, []byte("{}"))
		if a.final || a.refused || a.reason == "" {
			t.Errorf("%v: answered %+v", addresses, a)
		}
	}
	s.client.Transport = testGuard(t, "::1", "10.0.0.1").Transport()
	a := s.send(t.Context(), &entry{id: "i", url: "http://both.test:" + port + "/"}, []byte("{}"))
	if !a.final || !a.refused || !strings.Contains(a.reason, "loopback") || !strings.Contains(a.reason, "private") {
		t.Errorf("a name without an address that may be posted to: %+v", a)
	}
}

// testGuard lets 127.0.0.1 be posted to, and has these addresses for every name.
func testGuard(t *testing.T, addresses ...string) *ssrf.Guard {
	t.Helper()
	return ssrf.New(ssrf.Config{Allow: loopback(), Option: AllowOption, Lookup: lookup(addresses...)})
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }

func lookup(addresses ...string) ssrf.Lookup {
	return func(_ context.Context, network, _ string) ([]netip.Addr, error) {
		var found []netip.Addr
		for _, text := range addresses {
			if a := netip.MustParseAddr(text); network == "ip" || a.Is4() == (network == "ip4") {
				found = append(found, a)
			}
		}
		return found, nil
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Unix(1767222000, 0).UTC()
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "90": 90 * time.Second, "-1": 0, "1.5": 0, "soon": 0, "999999999": maxRetryAfter,
		"99999999999999999999":                       0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
		now.Add(1000 * time.Hour).Format(http.TimeFormat): maxRetryAfter,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	c := Config{}.withDefaults()
	for tries, least := range map[int]time.Duration{
		1: 5 * time.Second, 2: 15 * time.Second, 3: 45 * time.Second, 8: 10935 * time.Second, 9: 8 * time.Hour,
		16: 8 * time.Hour, 1000: 8 * time.Hour,
	} {
		for range 100 {
			if got := c.backoff(tries); got < least || got > least+least/5 {
				t.Fatalf("after %d tries %s, want %s and up to a fifth more", tries, got, least)
			}
		}
	}
}

func TestJudge(t *testing.T) {
	c := Config{}.withDefaults()
	now := time.Unix(1767222000, 0)
	fresh := func(tries int) *delivery {
		return &delivery{entry: entry{id: "i", user: "u", url: "http://a/", tries: tries, created: now, due: now}}
	}
	old := fresh(3)
	old.created = now.Add(-71*time.Hour - 59*time.Minute - 50*time.Second)
	for name, test := range map[string]struct {
		d          *delivery
		a          answer
		how        outcome
		target     verdict
		deadLetter string
		wait       time.Duration // at least
		pause      time.Duration
	}{
		"done":      {fresh(0), answer{status: 204}, delivered, works, "", 0, 0},
		"gone":      {fresh(0), answer{status: 410, reason: "answered 410"}, gone, works, "", 0, 0},
		"not liked": {fresh(0), answer{status: 400, reason: "answered 400"}, "", works, "", 5 * time.Second, 0},
		"redirect":  {fresh(1), answer{status: 301, reason: "answered 301"}, "", works, "", 15 * time.Second, 0},
		"broken":    {fresh(0), answer{status: 500, reason: "answered 500"}, "", fails, "", 5 * time.Second, 0},
		"silent":    {fresh(0), answer{reason: "no answer"}, "", fails, "", 5 * time.Second, 0},
		"busy": {fresh(0), answer{status: 429, after: time.Hour, reason: "answered 429"}, "", fails, "",
			time.Hour, time.Hour},
		"away": {fresh(0), answer{status: 503, after: time.Minute, reason: "answered 503"}, "", fails, "",
			time.Minute, time.Minute},
		"later, one of many": {fresh(0), answer{status: 404, after: time.Minute, reason: "answered 404"}, "", works, "",
			time.Minute, 0},
		"not allowed": {fresh(0), answer{reason: "private", final: true, refused: true}, failed, unknown, "private",
			0, 0},
		"often enough": {fresh(15), answer{status: 500, reason: "answered 500"}, failed, fails,
			"given up after 16 tries: answered 500", 0, 0},
		"long enough": {old, answer{status: 500, reason: "answered 500"}, failed, fails,
			"given up after 4 tries in 72h0m0s: answered 500", 0, 0},
	} {
		j := c.judge(test.d, test.a, []byte("{}"), now)
		if j.next.outcome != test.how || j.target != test.target || j.deadLetter != test.deadLetter ||
			j.pause != test.pause || j.next.id != "i" {
			t.Errorf("%s: %+v", name, j)
		}
		if wait := j.next.due.Sub(now); test.how == "" &&
			(wait < test.wait || wait > test.wait*6/5+time.Nanosecond || j.next.tries != test.d.tries+1 ||
				string(j.next.body) != "{}") {
			t.Errorf("%s: again after %s, %+v", name, wait, j.next)
		}
	}
}
