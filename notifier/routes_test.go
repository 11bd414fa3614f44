package notifier

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/listen"
)

// newRoutes serves what a notifier serves; no broker is asked.
func newRoutes(t *testing.T) (*Notifier, *httptest.Server) {
	t.Helper()
	n, err := New(Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}, Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	n.running = t.Context()
	server := httptest.NewServer(n.server().Handler)
	t.Cleanup(server.Close)
	return n, server
}

// newListener serves the same on a listener of the notifier's kind, and is its address.
func newListener(t *testing.T, n *Notifier) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, ended := n.server(), make(chan error, 1)
	go func() { ended <- listen.New(socket, listen.Config{Name: "the notifier"}).Serve(server) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return socket.Addr().String()
}

// ask sends one request as it stands and follows no redirect.
func ask(t *testing.T, method, address string, header ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}

// good is a query that each route can be asked with.
func good(served httpedge.Route) string {
	switch served.Path {
	case "/ws", "/sse":
		return "user_id=u"
	case "/socket.io":
		return "EIO=4&transport=polling"
	}
	return ""
}

// without is an address without a parameter.
func without(address, name string) string {
	path, query, _ := strings.Cut(address, "?")
	kept := slices.DeleteFunc(strings.Split(query, "&"),
		func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	return path + "?" + strings.Join(kept, "&")
}

func methodOf(served httpedge.Route) string {
	if len(served.Methods) == 0 {
		return http.MethodGet
	}
	return served.Methods[0]
}

// A HEAD is answered what a GET would be, also to who may not have the stream.
func TestHeadOfAStream(t *testing.T) {
	n, server := newRoutes(t)
	for _, query := range []string{
		"", "user_id=a", "user_id=", "user_id=a&task_id=..", "user_id=a&since=yesterday", "user_id=a&ticket=x", "task_id=t-1",
		"user_id=" + strings.Repeat("u", 201),
	} {
		got, header, _ := ask(t, http.MethodGet, server.URL+"/sse?"+query)
		head, headHeader, body := ask(t, http.MethodHead, server.URL+"/sse?"+query)
		if head != got || body != "" || headHeader.Get("Content-Type") != header.Get("Content-Type") {
			t.Errorf("HEAD /sse?%s is answered %d %v, GET %d %v", query, head, headHeader, got, header)
		}
	}
	if open := n.open.Load(); open != 0 {
		t.Errorf("%d places are taken", open)
	}
}

// Every route, both with a slash at its end and without: queries that are malformed, have
// a parameter twice or one that nobody knows are refused with what to change, HEAD is
// answered as GET without a body, and nobody is sent elsewhere.
func TestEveryRoute(t *testing.T) {
	n, server := newRoutes(t)
	for _, served := range n.table() {
		for _, path := range []string{served.Path, served.Path + "/"} {
			t.Run(path, func(t *testing.T) {
				method, base := methodOf(served), server.URL+path+"?"+good(served)
				said := served.Query
				if served.Path == "/socket.io" {
					said = watchQuery // beside those of the protocol, which has its own refusals
				}
				for query, says := range map[string]string{
					"&user_id=team;7": "%3B", "&x=100%": "%25", "&user_id=%ff": "UTF-8", "&q=1&q=1": "more than once",
					"&" + good(served) + "&r=2&r=2": "more than once",
				} {
					status, header, body := ask(t, method, base+query)
					if status != http.StatusUnprocessableEntity || header.Get("Content-Type") != "application/problem+json" ||
						!strings.Contains(body, says) {
						t.Errorf("%s%s was answered %d %s, want 422 that says %q", path, query, status, body, says)
					}
				}
				// Of parameters that clients of Socket.IO may add any are theirs.
				status, _, body := ask(t, method, base+"&user=alice")
				if wrong := served.Path == "/socket.io"; (status == http.StatusUnprocessableEntity) == wrong {
					t.Errorf("an unknown parameter was answered %d %s", status, body)
				}
				if len(served.Query) > 0 && served.Query[0] == "user_id" && !strings.Contains(body, `Did you mean \"user_id\"`) {
					t.Errorf("an unknown parameter was answered %s", body)
				}
				for _, name := range said {
					for _, query := range []string{name, name + "="} {
						status, _, body := ask(t, method, without(base, name)+"&"+query)
						if status != http.StatusUnprocessableEntity || !strings.Contains(body, "is empty") {
							t.Errorf("%s with an empty %s is answered %d %s", path, name, status, body)
						}
					}
				}
				status, header, _ := ask(t, method, base)
				forged, forgedHeader, _ := ask(t, method, base, "X-Forwarded-Prefix", "//evil.example")
				if status/100 == 3 || header.Get("Location") != "" || forged != status || forgedHeader.Get("Location") != "" {
					t.Errorf("%s is answered %d to %q, and with a prefix %d to %q", path, status, header.Get("Location"), forged,
						forgedHeader.Get("Location"))
				}
				if status == http.StatusNotFound {
					t.Errorf("%s is not served", path)
				}
				if method == http.MethodGet {
					headed, headedHeader, body := ask(t, http.MethodHead, base)
					if served.Path == "/socket.io" && headed == http.StatusOK && body == "" {
						return // it asks nobody, so it is not refused while the notifier starts
					}
					if headed != status || body != "" || headedHeader.Get("Content-Type") != header.Get("Content-Type") &&
						path != "/metrics" {
						t.Errorf("HEAD is answered %d %v %q and GET %d %v", headed, headedHeader, body, status, header)
					}
				}
			})
		}
	}
}

// Whoever looks after the server asks by whatever name, or says none.
func TestHealthWithoutAHost(t *testing.T) {
	n, server := newRoutes(t)
	addr := newListener(t, n)
	health := map[string]int{"/healthz": 200, "/readyz": 503, "/metrics": 200}
	for _, served := range n.table() {
		path, method := served.Path, methodOf(served)
		want, ofAll := health[path]
		if !ofAll {
			want = http.StatusMisdirectedRequest
		}
		if status, _, _ := ask(t, method, server.URL+path, "Host", "balancer.example:8443"); status != want {
			t.Errorf("%s by another name is answered %d, want %d", path, status, want)
		}
		for proto, want := range map[string]int{"HTTP/1.0": want, "HTTP/1.1": want} {
			if proto == "HTTP/1.1" && !ofAll {
				want = http.StatusBadRequest // by net/http, as RFC 9112 says
			}
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, method+" "+path+" "+proto+"\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), proto+" "+strconv.Itoa(want)) {
				t.Errorf("%s over %s without a Host is answered %.60q, %v, want %d", path, proto, answer, err, want)
			}
			_ = conn.Close()
		}
	}
}

// A browser never comes back to a stream that was answered by another status than 200.
func TestStreamThatCannotBeHadYet(t *testing.T) {
	_, server := newRoutes(t)
	for _, query := range []string{"user_id=a", "user_id=a&since=earliest", "user_id=a&lastEventId=AQAA"} {
		status, header, body := ask(t, http.MethodGet, server.URL+"/sse?"+query)
		if status != http.StatusOK || header.Get("Content-Type") != "text/event-stream" ||
			!strings.HasPrefix(body, "retry: ") ||
			!strings.Contains(body, "\nevent: closing\ndata: {\"kind\":\"closing\",\"code\":1013,") {
			t.Errorf("%s is answered %d %v %q", query, status, header, body)
		}
	}
	if status, _, body := ask(t, http.MethodGet, server.URL+"/sse?user=a"); status != http.StatusUnprocessableEntity {
		t.Errorf("what is wrong for good is answered %d %s", status, body)
	}
}

// A page sees of a handshake that fails no more than that: each refusal has to be told on
// the connection, and tells what is final from what passes.
func TestRefusalsOfASocketCanBeSeen(t *testing.T) {
	_, server := newRoutes(t)
	for query, want := range map[string]struct {
		code int
		says string
	}{
		"user=alice":                    {CloseInvalid, `Did you mean "user_id"`},
		"user_id=team;7":                {CloseInvalid, "%3B"},
		"user_id=a&user_id=b":           {CloseInvalid, "more than once"},
		"user_id=a&since=yesterday":     {CloseInvalid, "since must be"},
		"since=earliest":                {CloseInvalid, "user_id is missing"},
		"user_id=a&since=":              {CloseInvalid, "is empty"},
		"user_id=a&task_id":             {CloseInvalid, "is empty"},
		"ticket=&user_id=a":             {CloseInvalid, "is empty"},
		"user_id=a&task_id=.":           {CloseInvalid, "must not be . or .."},
		"user_id=a&task_id=%2E%2E":      {CloseInvalid, "must not be . or .."},
		"user_id=a&task_id=a/b":         {CloseInvalid, "task_id must be"},
		"user_id=a&token=ey":            {4400, "query"},
		"user_id=a":                     {closeTryLater, "starting"},
		"user_id=a&since=earliest":      {closeTryLater, "starting"},
		"user_id=%E5%BC%A0&task_id=t-1": {closeTryLater, "starting"},
	} {
		for _, path := range []string{"/ws", "/ws/"} {
			conn, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+path+"?"+query, nil)
			if err != nil {
				t.Fatalf("%s: %v, %v", query, err, res)
			}
			defer conn.Close()
			_, _, err = conn.ReadMessage()
			var closed *websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != want.code || !strings.Contains(closed.Text, want.says) {
				t.Errorf("%s is told %v, want %d that says %q", query, err, want.code, want.says)
			}
		}
	}
}
