package notifier_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/notifier"
)

// guarded is a world with auth on, and who can make tokens for it.
type guarded struct {
	*world
	minter *auth.Minter
}

func newGuarded(t *testing.T, change func(*notifier.Config)) guarded {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("a secret of more than thirty-two bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	minter, err := auth.NewSecretMinter(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *notifier.Config) {
		c.Auth = auth.Config{Mode: auth.ModeJWT, SecretFiles: []string{path}}
		if change != nil {
			change(c)
		}
	})
	return guarded{w, minter}
}

func (g guarded) token(user string, lasts time.Duration, scopes ...string) string {
	g.t.Helper()
	token, err := g.minter.Mint(auth.Grant{User: user, Scopes: scopes, From: time.Now(), For: lasts})
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

// briefly has a token that ends soon used before it ends. Where the machine takes longer than it lasts, one that lasts
// twice as long is used.
func (g guarded) briefly(user string, use func(token string) error) {
	g.t.Helper()
	for lasts := 2 * time.Second; ; lasts *= 2 {
		ends := time.Now().Add(lasts).Truncate(time.Second) // as tokens say it
		err := use(g.token(user, lasts))
		switch {
		case err == nil:
			return
		case time.Now().Before(ends), lasts > patience:
			g.t.Fatalf("a token that lasts %v: %v", lasts, err)
		}
	}
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// dial connects without reading anything.
func dial(t *testing.T, n *notifier.Notifier, header http.Header, protocols []string, query ...string) *client {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: patience}
	conn, res, err := dialer.Dial(address(n, query...), header)
	if err != nil {
		t.Fatalf("dial %v: %v, %v", query, err, res)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, Conn: conn}
}

// ticket buys one.
func (g guarded) ticket(token, body string) (status int, ticket string) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, "http://"+g.Addr()+"/v1/tickets",
		strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Ticket string `json:"ticket"`
	}
	if err := json.UnmarshalRead(res.Body, &answer); err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, answer.Ticket
}

// A client can prove who it is in four ways; with each it gets its own events.
func TestWaysToProve(t *testing.T) {
	g := newGuarded(t, nil)
	g.fence(0, 1).say("alice", "t1", "hers")
	token := g.token("alice", time.Hour)
	_, ticket := g.ticket(token, "")
	_, named := g.ticket(g.token("root", time.Hour, auth.DefaultAdminScope), `{"user_id":"alice"}`)
	const earliest = "earliest"
	for name, c := range map[string]*client{
		"header":             dial(t, g.Notifier, bearer(token), nil, "since", earliest),
		"header, and a name": dial(t, g.Notifier, bearer(token), nil, "since", earliest, "user_id", "alice"),
		"subprotocol":        dial(t, g.Notifier, nil, []string{"tasklane.v1", "bearer." + token}, "since", earliest),
		"ticket":             dial(t, g.Notifier, nil, nil, "since", earliest, "ticket", ticket),
		"ticket of an admin": dial(t, g.Notifier, nil, nil, "since", earliest, "ticket", named),
		"first message":      dial(t, g.Notifier, nil, nil, "since", earliest),
		"admin, for her": dial(t, g.Notifier, bearer(g.token("root", time.Hour, auth.DefaultAdminScope)), nil, "since",
			earliest, "user_id", "alice"),
	} {
		if name == "first message" {
			c.say(`{"kind":"auth","token":"` + token + `"}`)
		}
		if name == "subprotocol" && c.Subprotocol() != "tasklane.v1" {
			t.Errorf("the server chose %q", c.Subprotocol())
		}
		if hello := c.next(); hello.Kind != "hello" || hello.Cursor == "" {
			t.Errorf("%s: %+v", name, hello)
		}
		c.expect("hers")
	}
	// The ticket that an admin had for a user is no admin's.
	_, named = g.ticket(g.token("root", time.Hour, auth.DefaultAdminScope), `{"user_id":"alice"}`)
	c := dial(t, g.Notifier, nil, nil, "ticket", named)
	c.next()
	c.say(`{"kind":"subscribe","id":"b","user_id":"bob"}`)
	if code, _ := c.closeCode(); code != notifier.CloseForbidden {
		t.Errorf("closed with %d", code)
	}
}

func TestWrongProofsAreRefused(t *testing.T) {
	g := newGuarded(t, nil)
	token := g.token("alice", time.Hour)
	_, used := g.ticket(token, "")
	dial(t, g.Notifier, nil, nil, "ticket", used)
	_, other := g.ticket(token, "")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(token, ".")[1] + "."
	for name, c := range map[string]struct {
		header http.Header
		query  []string
		status int
	}{
		"none":             {bearer(none), nil, 401},
		"expired":          {bearer(g.token("alice", -time.Minute)), nil, 401},
		"basic":            {http.Header{"Authorization": {"Basic eDp5"}}, nil, 401},
		"another user":     {bearer(token), []string{"user_id", "bob"}, 403},
		"almost her":       {bearer(token), []string{"user_id", "Alice"}, 403},
		"in the query":     {nil, []string{"token", token}, 400},
		"used ticket":      {nil, []string{"ticket", used}, 401},
		"forged ticket":    {nil, []string{"ticket", "AAAA"}, 401},
		"ticket and token": {bearer(token), []string{"ticket", other}, 401},
		"given twice": {http.Header{"Authorization": {"Bearer " + token}, "Sec-Websocket-Protocol": {"bearer." + token}},
			nil, 401},
	} {
		if code, reason := turnedAway(t, g.Notifier, c.header, c.query...); code != 4000+c.status {
			t.Errorf("%s: %d %q", name, code, reason)
		}
		if name == "given twice" {
			continue // that takes a handshake
		}
		// Who shows no page what it hears is answered by a status.
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			"http"+strings.TrimPrefix(address(g.Notifier, c.query...), "ws"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path, r.Header = "/sse", c.header
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.status || (c.status == 401) != (res.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %d with %v", name, res.StatusCode, res.Header)
		}
	}
	for name, c := range map[string]struct {
		token, body string
		status      int
	}{
		"no token": {"", "", 401}, "hers": {token, "", 201}, "by name": {token, `{"user_id":"alice"}`, 201},
		"another's": {token, `{"user_id":"bob"}`, 403},
		"not JSON":  {token, `{`, 400}, "more members": {token, `{"admin":true}`, 400},
		"large": {token, strings.Repeat(" ", 5000), 413},
	} {
		if status, _ := g.ticket(c.token, c.body); status != c.status {
			t.Errorf("a ticket, %s: %d, want %d", name, status, c.status)
		}
	}
	// What a first message may be.
	for _, message := range []string{`{"kind":"ping"}`, `{"kind":"subscribe","id":"a"}`, `{"kind":"auth"}`,
		`{"kind":"auth","token":"` + none + `"}`} {
		c := dial(t, g.Notifier, nil, nil)
		c.say(message)
		if code, reason := c.closeCode(); code != notifier.CloseUnauthenticated {
			t.Errorf("%s: closed with %d %q", message, code, reason)
		}
	}
	c := dial(t, g.Notifier, nil, nil, "user_id", "bob")
	c.say(`{"kind":"auth","token":"` + token + `"}`)
	if code, _ := c.closeCode(); code != notifier.CloseForbidden {
		t.Errorf("another user in the query: closed with %d", code)
	}
}

// Whoever does not say who it is has to go, however often it pings.
func TestSilentClientsAreClosed(t *testing.T) {
	g := newGuarded(t, func(c *notifier.Config) {
		c.AuthTimeout, c.PingInterval = 300*time.Millisecond, 16*time.Millisecond
	})
	c := dial(t, g.Notifier, nil, nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				if c.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience)) != nil {
					return
				}
			case <-stop:
				return
			}
		}
	}()
	if code, reason := c.closeCode(); code != notifier.CloseUnauthenticated || !strings.Contains(reason, "no token came") {
		t.Errorf("closed with %d %q", code, reason)
	}
	s := connectSIO(t, g.Notifier, "", `{}`)
	if err := s.untilEnd(); err == nil {
		t.Error("a Socket.IO client that says nothing stays")
	}
}

// A connection ends with its token, unless a newer one comes.
func TestProofEnds(t *testing.T) {
	g := newGuarded(t, nil)
	o := g.fence(0, 1)
	var ends, renewed *client
	var sio *sio
	var stream *http.Response
	g.briefly("alice", func(token string) (err error) {
		if ends, err = dialed(t, g.Notifier, bearer(token)); err != nil {
			return err
		}
		if renewed, err = dialed(t, g.Notifier, bearer(token)); err != nil {
			return err
		}
		for _, text := range []string{`{"kind":"auth","token":"` + g.token("alice", time.Hour) + `"}`, `{"kind":"ping"}`} {
			if err := renewed.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
				return err
			}
		}
		if pong, err := renewed.tryNext(); err != nil || pong.Kind != "pong" {
			return fmt.Errorf("renewed, it gets %+v: %w", pong, err)
		}
		sio = connectSIO(t, g.Notifier, "", `{"token":"`+token+`"}`)
		if in, err := sio.next(); err != nil || !strings.HasPrefix(in, "40") {
			return fmt.Errorf("Socket.IO: %s: %w", in, err)
		}
		stream = askSSE(t, g.Notifier, token, "", url.Values{"since": {"earliest"}})
		t.Cleanup(func() { stream.Body.Close() })
		if stream.StatusCode != http.StatusOK {
			return fmt.Errorf("the stream: %s", stream.Status)
		}
		return nil
	})
	if code, reason := ends.closeCode(); code != notifier.CloseUnauthenticated || !strings.Contains(reason, "expired") {
		t.Errorf("closed with %d %q", code, reason)
	}
	if err := sio.untilEnd(); err == nil || !strings.Contains(sio.all(), `"code":4401`) {
		t.Errorf("Socket.IO: %v after %s", err, sio.all())
	}
	body, err := io.ReadAll(stream.Body)
	if err != nil || !strings.Contains(string(body), "event: closing\ndata: {\"kind\":\"closing\",\"code\":4401") {
		t.Errorf("the stream ended with %q, %v", body, err)
	}
	o.say("alice", "t1", "later")
	renewed.expect("later")
}

// What a connection watches has to be covered by the proof that comes after.
func TestRenewedProofCoversAll(t *testing.T) {
	g := newGuarded(t, nil)
	admin := g.token("root", time.Hour, auth.DefaultAdminScope)
	for name, c := range map[string]struct {
		first, then string
		code        int
	}{
		"of another user":       {g.token("alice", time.Hour), g.token("bob", time.Hour), notifier.CloseForbidden},
		"expired":               {g.token("alice", time.Hour), g.token("alice", -time.Hour), notifier.CloseUnauthenticated},
		"a user's, for admin's": {admin, g.token("alice", time.Hour), notifier.CloseForbidden},
	} {
		conn := dial(t, g.Notifier, bearer(c.first), nil, "user_id", "alice")
		conn.next()
		if name == "a user's, for admin's" {
			conn.say(`{"kind":"subscribe","id":"b","user_id":"bob"}`)
			conn.next()
		}
		conn.say(`{"kind":"auth","token":"` + c.then + `"}`)
		if code, reason := conn.closeCode(); code != c.code {
			t.Errorf("%s: closed with %d %q, want %d", name, code, reason, c.code)
		}
	}
	// A Socket.IO client that watches more than the new token may.
	s := connectSIO(t, g.Notifier, "", `{"token":"`+admin+`","user_id":"bob"}`)
	s.emit(`42["register",{"token":"` + g.token("alice", time.Hour) + `","user_id":"alice"}]`)
	if got := s.until(`["error"`); !strings.Contains(got, `"status":403`) {
		t.Errorf("registered: %s", got)
	}
	// One that came with a ticket registers for more, and with a newer token.
	_, ticket := g.ticket(g.token("alice", time.Hour), "")
	s = connectSIO(t, g.Notifier, "&ticket="+ticket, "")
	for i, what := range []string{`{"task_id":"t1"}`, `{"token":"` + g.token("alice", time.Hour) + `"}`} {
		s.emit(fmt.Sprintf(`42%d["register",%s]`, i, what))
		if got := s.until(fmt.Sprintf("43%d", i)); !strings.Contains(got, `"ok":true,"user_id":"alice"`) {
			t.Errorf("%s: %s", what, got)
		}
	}
}
