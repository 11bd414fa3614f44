package ssrf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// names answers look-ups: the addresses of a name, and an error for a family.
type names struct {
	addresses map[string][]string
	broken    map[string]error // by network
	asked     atomic.Int64
}

func (n *names) lookup(_ context.Context, network, host string) ([]netip.Addr, error) {
	n.asked.Add(1)
	if err := n.broken[network]; err != nil {
		return nil, err
	}
	var found []netip.Addr
	for _, text := range n.addresses[host] {
		a := netip.MustParseAddr(text)
		if four := a.Is4() || a.Is4In6(); network == "ip4" && !four || network == "ip6" && four {
			continue
		}
		if n.broken["ip4"] != nil && a.Is4() || n.broken["ip6"] != nil && a.Is6() {
			// Its servers did not answer, and the other family's did
			continue
		}
		found = append(found, a)
	}
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return found, nil
}

var timeout = &net.DNSError{Err: "i/o timeout", IsTimeout: true, IsTemporary: true}

func loopback4() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }

// listen accepts connections on 127.0.0.1 until the test ends, and is its port.
func listen(t *testing.T) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

// closedPort is one where nobody listens.
func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func dial(t *testing.T, g *Guard, host string, port int) error {
	t.Helper()
	conn, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// TestOneAddressIsNotTheName: a name with an address that may be reached is refused for
// none of its others, whatever becomes of that one, and in whatever order they come.
func TestOneAddressIsNotTheName(t *testing.T) {
	for _, addresses := range [][]string{
		{"::1", "127.0.0.1"},
		{"127.0.0.1", "::1"},
		{"10.0.0.1", "fe80::1", "::ffff:127.0.0.1", "169.254.169.254"},
	} {
		n := &names{addresses: map[string][]string{"both.test": addresses}}
		g := New(Config{Allow: loopback4(), Option: "--allow", Lookup: n.lookup})
		if err := dial(t, g, "both.test", listen(t)); err != nil {
			t.Errorf("%v: %v", addresses, err)
		}
		if err := dial(t, g, "both.test", closedPort(t)); err == nil || Refused(err) != nil {
			t.Errorf("%v, and nobody listens: %v, want what is no refusal", addresses, err)
		}
	}
}

// TestEveryAddressIsRefused: the reason names each, and the option.
func TestEveryAddressIsRefused(t *testing.T) {
	n := &names{addresses: map[string][]string{"inside.test": {"::1", "10.0.0.1"}, "one.test": {"10.0.0.1"}}}
	g := New(Config{Option: "--allow", Lookup: n.lookup})
	r := Refused(dial(t, g, "inside.test", 443))
	if r == nil || !strings.Contains(r.Reason, "loopback") || !strings.Contains(r.Reason, "10.0.0.1 is private") ||
		!strings.Contains(r.Reason, "--allow") {
		t.Errorf("%+v", r)
	}
	if r := Refused(dial(t, g, "one.test", 443)); r == nil {
		t.Error("a name with an address of one family alone is not refused")
	}
	for _, literal := range []string{"10.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%lo"} {
		before := n.asked.Load()
		if r := Refused(dial(t, g, literal, 443)); r == nil || n.asked.Load() != before {
			t.Errorf("%s: %v, after %d look-ups", literal, r, n.asked.Load()-before)
		}
	}
}

// TestHalfALookUpIsNoVerdict: the address that may be reached may be among those whose
// servers did not answer.
func TestHalfALookUpIsNoVerdict(t *testing.T) {
	for family, addresses := range map[string][]string{"ip4": {"::1", "127.0.0.1"},
		"ip6": {"10.0.0.1", "2606:4700::1111"}} {
		n := &names{addresses: map[string][]string{"half.test": addresses}, broken: map[string]error{family: timeout}}
		g := New(Config{Allow: loopback4(), Lookup: n.lookup})
		if err := dial(t, g, "half.test", 443); err == nil || Refused(err) != nil || !errors.Is(err, timeout) {
			t.Errorf("%s does not answer: %v", family, err)
		}
	}
}

func TestLookUpFails(t *testing.T) {
	n := &names{broken: map[string]error{"ip": timeout}}
	g := New(Config{Lookup: n.lookup})
	if err := dial(t, g, "x.test", 443); !errors.Is(err, timeout) || Refused(err) != nil {
		t.Errorf("%v", err)
	}
	if err := dial(t, New(Config{Lookup: new(names).lookup}), "x.test", 443); err == nil || Refused(err) != nil {
		t.Errorf("a name that is not there: %v", err)
	}
	empty := New(Config{Lookup: func(context.Context, string, string) ([]netip.Addr, error) { return nil, nil }})
	if err := dial(t, empty, "x.test", 443); err == nil || Refused(err) != nil {
		t.Errorf("a name without addresses: %v", err)
	}
	for _, address := range []string{"", "x.test", "x.test:http", "x.test:65536", "x.test:-1", ":", "[::1"} {
		if conn, err := g.DialContext(t.Context(), "tcp", address); err == nil || conn != nil {
			t.Errorf("%q is dialled", address)
		}
	}
}

// TestDialEndsWithItsTime: a look-up that hangs ends with the dial's time.
func TestDialEndsWithItsTime(t *testing.T) {
	g := New(Config{DialTimeout: 20 * time.Millisecond,
		Lookup: func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	if err := dial(t, g, "slow.test", 443); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// TestTransportUsesNoProxy: and follows names as the guard sees them.
func TestTransportUsesNoProxy(t *testing.T) {
	var asked atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_,
			_ = io.WriteString(w, r.Host)
	}))
	defer served.Close()
	port := served.Listener.Addr().(*net.TCPAddr).Port
	n := &names{addresses: map[string][]string{"service.test": {"::1", "127.0.0.1"}}}
	transport := New(Config{Allow: loopback4(), Lookup: n.lookup}).Transport()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for host, want := range map[string]bool{"service.test": true, "127.0.0.1": true, "[::1]": false,
		"10.1.2.3": false} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s:%d/", host,
			port), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		if (err == nil) != want || (Refused(err) != nil) == want {
			t.Errorf("%s: %v", host, err)
		}
	}
	if asked.Load() {
		t.Error("the proxy was asked")
	}
}

// TestVerdictOfANameIsThatOfItsAddresses: whatever they are, a name is refused if and
// only if each of them is.
func TestVerdictOfANameIsThatOfItsAddresses(t *testing.T) {
	pool := []string{"127.0.0.1", "127.0.0.2", "::1", "10.0.0.1", "fd00::1", "169.254.169.254", "::ffff:127.0.0.1",
		"64:ff9b::a00:1"}
	nobody := closedPort(t)
	rapid.Check(t, func(rt *rapid.T) {
		addresses := rapid.SliceOfN(rapid.SampledFrom(pool), 1, 6).Draw(rt, "addresses")
		n := &names{addresses: map[string][]string{"any.test": addresses}}
		g := New(Config{Allow: loopback4(), Lookup: n.lookup})
		err := dial(t, g, "any.test", nobody)
		reachable := slices.Contains(addresses, "127.0.0.1") || slices.Contains(addresses, "::ffff:127.0.0.1")
		if err == nil || (Refused(err) == nil) != reachable {
			rt.Errorf("%v: %v", addresses, err)
		}
	})
}

// TestManyAddressesAreNotAllTried: a name cannot have this process knock everywhere.
func TestManyAddressesAreNotAllTried(t *testing.T) {
	var addresses []string
	for i := range 200 {
		addresses = append(addresses, fmt.Sprintf("127.0.1.%d", i))
	}
	n := &names{addresses: map[string][]string{"many.test": addresses}}
	g := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Lookup: n.lookup})
	err := dial(t, g, "many.test", closedPort(t))
	if err == nil || strings.Count(err.Error(), "connection refused") != maxTargets {
		t.Errorf("%v", err)
	}
	if r := Refused(dial(t, New(Config{Lookup: n.lookup}), "many.test", 443)); r == nil ||
		len(r.Reason) > 100*maxTargets {
		t.Errorf("%v", r)
	}
}

// TestParseAllowSaysWhatToWrite: with the option's name.
func TestParseAllowSaysWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.2.3/16": "--allow \"10.1.2.3/16\" has bits beyond its length: write 10.1.0.0/16",
		"example.org": "--allow \"example.org\": want an address or a range",
	} {
		if _, err := ParseAllow("--allow", []string{"127.0.0.1", text}); err == nil || !strings.Contains(err.Error(),
			want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if allow, err := ParseAllow("--allow", nil); err != nil || allow != nil {
		t.Errorf("nothing is %v, %v", allow, err)
	}
}
