package cli

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/client/clienttest"
)

func TestAdvice(t *testing.T) {
	away := fmt.Errorf("get: %w: connection refused", client.ErrUnreachable)
	tls := fmt.Errorf("get: %w: http: server gave HTTP response to HTTPS client", client.ErrUnreachable)
	refused := func(status int, detail string) error {
		return fmt.Errorf("get: %w", &client.APIError{Status: status, Detail: detail})
	}
	for _, c := range []struct {
		err      error
		watching bool
		token    string
		says     string // "" for nothing more
	}{
		{nil, false, "", ""},
		{errors.New("other"), false, "", ""},
		{away, false, "", `Start it with "tasklane up", or name its address with --server`},
		{away, true, "", `with --notifier`},
		{tls, false, "", "write --server http://api:8080"},
		{tls, true, "", "write --notifier ws://notifier:8000"},
		{refused(404, "there is nothing here; there are /ws"), false, "",
			"https://api:8080 the address of the API (port 8080"},
		{refused(404, "there is nothing here; the API is"), true, "", "the address of the notifier (port 8000"},
		{refused(404, "there is no such task"), false, "", ""},
		{refused(401, "this server wants to know who you are"), false, "", "TASKLANE_TOKEN"},
		{refused(401, "the token has expired; get a new one"), false, "x", ""},
		{refused(401, "the token's signature is not right"), false, "x", "--auth-secret-file"},
		{refused(403, "only a token with the admin scope may do this"), false, "x", "--admin"},
		{refused(403, "the token is for another user"), false, "x", ""},
		{refused(422, "lane"), false, "", ""},
	} {
		r := &connection{server: "https://api:8080", notifier: "wss://notifier:8000", token: c.token}
		got := r.advise(c.err, c.watching)
		if !errors.Is(got, c.err) { // exit codes are told from what it wraps
			t.Errorf("%v became %v", c.err, got)
		}
		if c.err != nil && (got.Error() == c.err.Error()) != (c.says == "") || c.err != nil &&
			!strings.Contains(got.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c.err, got, c.says)
		}
	}
}

// nowhere is an address where nothing listens.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestCommandsAdvise(t *testing.T) {
	address := nowhere(t)
	lost := &terminal{server: "http://" + address, notifier: "ws://" + address, user: "alice"}
	for _, line := range []string{
		"get t-1", "result t-1", "result t-1 --wait", "cancel t-1", "pause lane fast", "resume lane fast", "kill lane fast",
		"limits lane fast --max-running 1", "inspect controls", "submit --mode m --service s --name n",
	} {
		got := lost.do(t, line+" --give-up-after 50ms")
		got.fails(t, "--server")
		if !errors.Is(got.err, client.ErrUnreachable) {
			t.Errorf("%s: %v", line, got.err)
		}
	}
	lost.do(t, "watch --give-up-after 50ms").fails(t, "--notifier")
	// Somebody else's server.
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	stranger := &terminal{server: other.URL, notifier: "ws" + strings.TrimPrefix(other.URL, "http"), user: "alice"}
	stranger.do(t, "get t-1").fails(t, "404")
	stranger.do(t, "watch").fails(t, "404")
	// A Tasklane, but not this part of it.
	s := clienttest.New(t)
	mixed := at(s)
	mixed.server += "/prefix"
	mixed.do(t, "get t-1").fails(t, "is "+mixed.server+" the address of the API")
}
