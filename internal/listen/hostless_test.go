package listen_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/listen"
)

// TestHealthWithoutAHost: checks over HTTP/1.1 that name no Host are answered, however their bytes arrive, and their
// connection ends with that. Whatever else names none is refused, and so is what follows.
func TestHealthWithoutAHost(t *testing.T) {
	h := newHouse(t, 10, 1)
	for request, want := range map[string]string{
		"GET /healthz HTTP/1.1\r\n\r\n":                            "200 close",
		"HEAD /readyz HTTP/1.1\r\nUser-Agent: probe\r\n\r\n":       "200 close",
		"GET /metrics?x=1 HTTP/1.1\r\nConnection: x, y\r\n\r\n":    "200 close",
		"GET /healthz HTTP/1.1\r\nConnection: keep-alive\r\n\r\n":  "200 close",
		"GET /healthz HTTP/1.1\r\nhOsT: any\r\n\r\n":               "200",
		"GET /healthz HTTP/1.0\r\n\r\n":                            "200 close",
		"GET /x HTTP/1.1\r\n\r\n":                                  "400 close",
		"GET /healthzz HTTP/1.1\r\n\r\n":                           "400 close",
		"POST /healthz HTTP/1.1\r\n\r\n":                           "400 close",
		"GET /healthz HTTP/1.1\n\n":                                "400 close",
		"GET /healthz HTTP/1.1\r\nA: b\n\r\n":                      "400 close",
		"GET /healthz HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n":           "400 close",
		"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n":                "400 close",
		"GET /healthz HTTP/1.1\r\nContent-Length: 2\r\n\r\n":       "400 close",
		"GET /healthz HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n":    "501 close",
		"GET /healthz HTTP/1.1\r\nA: " + long + "\r\n\r\n":         "400 close",
		"GET /healthz HTTP/1.1\r\nA: b\r\nHost: x\r\n\r\n":         "200",
		"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n":      "400 close",
		"GET /healthz HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n":     "200 close",
		"GET /x HTTP/1.1\r\nHost: a\r\nB: GET /healthz\r\n\r\n":    "200",
		"GET http://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n":         "200",
		"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTT": "200",
	} {
		pieces := []int{len(request), 7, 1}
		if strings.Count(request, " HTTP/1.1\r\n") > 1 { // what is not read yet when the server closes takes its answer away
			pieces = pieces[:1]
		}
		for _, piece := range pieces {
			conn := h.dial()
			for at := 0; at < len(request); at += piece {
				if _, err := io.WriteString(conn, request[at:min(at+piece, len(request))]); err != nil {
					break // it was refused before its end
				}
			}
			method, _, _ := strings.Cut(request, " ")
			reader := bufio.NewReader(conn)
			response, err := http.ReadResponse(reader, &http.Request{Method: method})
			if err != nil {
				t.Errorf("%.80q: %v", request, err)
				continue
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			got := response.Status[:3]
			if response.Close {
				got += " close"
				if rest, err := io.ReadAll(reader); len(rest) > 0 || err != nil {
					t.Errorf("%.80q: after its answer comes %.80q, %v", request, rest, err)
				}
			}
			if got != want {
				t.Errorf("%.80q in pieces of %d: answered %s, want %s", request, piece, got, want)
			}
		}
	}
}

var long = strings.Repeat("a", 5<<10)

// scripted is a socket with one client, whose bytes come as its reader gives them.
type scripted struct {
	net.Listener
	client net.Conn
}

func (s *scripted) Accept() (net.Conn, error) { return s.client, nil }

type client struct {
	net.Conn
	io.Reader
}

func (c client) Read(p []byte) (int, error)    { return c.Reader.Read(p) }
func (client) Close() error                    { return nil }
func (client) SetReadDeadline(time.Time) error { return nil }

// heard is what a server reads of a client that sends such bytes.
func heard(t *testing.T, r io.Reader) []byte {
	t.Helper()
	conn, err := listen.New(&scripted{client: client{Reader: r}}, listen.Config{Name: "a test"}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	listen.Greet(conn)
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// FuzzHealthWithoutAHost: whatever is sent, and in whatever pieces, is read as it was sent, but for a health check
// without a Host: that is the same request with an empty one, and the last of its connection.
func FuzzHealthWithoutAHost(f *testing.F) {
	for _, text := range []string{
		"GET /healthz HTTP/1.1\r\n\r\n", "HEAD /readyz?a=b HTTP/1.1\r\nA: b\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost:\r\n\r\n", "GET /healthz HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "GET /healthz", "G", "",
		"GET /healthz HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "GET /healthz HTTP/1.1\r\n:\r\n\r\n", "\x16\x03\x01\x02",
		"GET /healthz HTTP/1.1\r\nA: b\n\r\n\r\n", "GET /healthz HTTP/1.1\r\nConnection: keep-alive\r\n\r\n" + long,
		"GET /healthz HTTP/1.1\r\nA: " + long + "\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		got := heard(t, bytes.NewReader(sent))
		for _, pieces := range []io.Reader{iotest.OneByteReader(bytes.NewReader(sent)),
			iotest.HalfReader(bytes.NewReader(sent)), iotest.DataErrReader(bytes.NewReader(sent))} {
			if again := heard(t, pieces); !bytes.Equal(again, got) {
				t.Fatalf("%q is read as %q, and in pieces as %q", sent, got, again)
			}
		}
		was, errWas := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
		if bytes.Equal(got, sent) {
			return
		}
		if want := bytes.Replace(got, []byte("Host:\r\nConnection: close\r\n"), nil, 1); !bytes.Equal(want, sent) {
			t.Fatalf("%q is read as %q", sent, got)
		}
		is, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(got)))
		if errWas != nil || err != nil {
			t.Fatalf("%q is read as %q: %v, %v", sent, got, errWas, err)
		}
		if !is.Close || is.Host != "" || was.Host != "" || is.ContentLength != 0 || !httpedge.IsHealthPath(is.URL.Path) ||
			is.Method != http.MethodGet && is.Method != http.MethodHead || is.RequestURI != was.RequestURI {
			t.Fatalf("%q is read as %q", sent, got)
		}
	})
}
