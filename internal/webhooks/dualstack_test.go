package webhooks

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers each question for a name with 127.0.0.1 and ::1, and is asked as the system's name servers are.
func nameServer(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if said := answerBoth(b[:n]); said != nil {
				_, _ = conn.WriteTo(said, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	address := conn.LocalAddr().String()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", address)
	}}
}

func answerBoth(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	header := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1}
	switch m.Questions[0].Type {
	case dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
	case dnsmessage.TypeAAAA:
		m.Answers = []dnsmessage.Resource{{Header: header,
			Body: &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("::1").As16()}}}
	}
	said, _ := m.Pack() // of what was just read
	return said
}

// TestRealNameWithTwoAddresses: a name that the resolver finds ::1 and 127.0.0.1 for, with a server at the second
// alone. Whether the first is refused or nobody listens there, the webhook arrives; while the server restarts it is
// not final, and arrives then.
func TestRealNameWithTwoAddresses(t *testing.T) {
	resolver := nameServer(t)
	found, err := resolver.LookupNetIP(t.Context(), "ip", "both.example")
	if err != nil || len(found) != 2 {
		t.Fatalf("the name has %v, %v; want two addresses", found, err)
	}
	for name, allow := range map[string][]string{
		"one is refused": {"127.0.0.1/32"}, "one is closed": {"127.0.0.1/32", "::1/128"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Secrets: testSender(t, patience).secrets, Timeout: patience, lookup: resolver.LookupNetIP}
			for _, prefix := range allow {
				c.Allow = append(c.Allow, netip.MustParsePrefix(prefix))
			}
			c = c.withDefaults()
			s := newSender(&c)
			t.Cleanup(s.close)
			got := make(chan string, 10)
			handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Host })
			address := ""
			for range 2 { // the second time it is back after a restart
				listener := listenAgain(t, address)
				address = listener.Addr().String()
				_, port, _ := net.SplitHostPort(address)
				url := "http://both.example:" + port + "/hook"
				server := &http.Server{Handler: handler, ReadHeaderTimeout: patience}
				served := make(chan error, 1)
				go func() { served <- server.Serve(listener) }()
				if a := s.send(t.Context(), &entry{id: "i", url: url}, []byte("{}")); a.status != http.StatusOK {
					t.Errorf("answered %+v", a)
				} else if host := <-got; host != "both.example:"+port {
					t.Errorf("the server was asked as %s", host)
				}
				s.close()
				_ = server.Close()
				if err := <-served; !errors.Is(err, http.ErrServerClosed) {
					t.Errorf("the server ended with %v", err)
				}
				if a := s.send(t.Context(), &entry{id: "i", url: url}, []byte("{}")); a.final || a.refused || a.reason == "" {
					t.Errorf("while the server is away: %+v", a)
				}
			}
		})
	}
}

// listenAgain listens at an address of before, or at a new one if there was none.
func listenAgain(t *testing.T, address string) net.Listener {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	for until := time.Now().Add(patience); ; {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err == nil {
			return listener
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}
