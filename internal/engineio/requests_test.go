package engineio_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/engineio"
)

// echo is a listener that sends back what it is told.
type echo struct{ conn *engineio.Conn }

func (e echo) Message(m engineio.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_ = e.conn.Send(ctx, m) // or not, if nobody takes it
	return nil
}

func (echo) Closed(error) {}

// FuzzRequests sends requests of any kind, some of them of a connection that is open. Each is answered, and a refusal
// says in both forms why; when the server has closed nothing of them is left.
func FuzzRequests(f *testing.F) {
	f.Add("GET", "EIO=4&transport=polling", "", true)
	f.Add("POST", "EIO=4&transport=polling", "4hello\x1ebAQID", true)
	f.Add("POST", "EIO=4&transport=polling", "2probe", true)
	f.Add("POST", "EIO=4&transport=polling", "1", true)
	f.Add("GET", "EIO=4&transport=websocket", "", false)
	f.Add("HEAD", "EIO=4&transport=polling", "", false)
	f.Add("GET", "EIO=3&transport=polling", "", false)
	f.Add("GET", "EIO=4&transport=polling&j=1", "", false)
	f.Add("GET", "EIO=4&transport=%zz", "", true)
	f.Add("DELETE", "transport=polling;EIO=4", "4", true)
	f.Fuzz(func(t *testing.T, method, query, body string, known bool) {
		server := engineio.New(engineio.Config{
			Accept:     func(c *engineio.Conn, _ *http.Request) (engineio.Listener, error) { return echo{c}, nil },
			MaxPayload: 100, BufferBytes: 100,
		})
		defer server.Close(0)
		if known {
			opened := httptest.NewRecorder()
			server.ServeHTTP(opened, httptest.NewRequest(http.MethodGet, path+"?EIO=4&transport=polling", nil))
			var handshake struct {
				SID string `json:"sid"`
			}
			text, _ := strings.CutPrefix(opened.Body.String(), "0")
			if err := json.Unmarshal([]byte(text), &handshake); err != nil {
				t.Fatalf("the handshake is %q: %v", opened.Body, err)
			}
			query += "&sid=" + handshake.SID
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // a poll does not wait
		r := (&http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}, Host: "memory", Proto: "HTTP/1.1",
			ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody, RemoteAddr: "127.0.0.1:1",
		}).WithContext(ctx)
		if body != "" {
			r.Body = httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)).Body
		}
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, r)
		if answer.Code < 400 {
			return
		}
		var refusal struct {
			Title   string `json:"title"`
			Status  int    `json:"status"`
			Detail  string `json:"detail"`
			Code    *int   `json:"code"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &refusal); err != nil {
			t.Fatalf("%s %q is answered %d %q: %v", method, query, answer.Code, answer.Body, err)
		}
		if refusal.Status != answer.Code || refusal.Detail == "" || refusal.Code == nil || refusal.Message == "" {
			t.Fatalf("%s %q is refused with %s", method, query, answer.Body)
		}
	})
}
