package httpservice

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/processor"
)

// raw answers with bytes that no HTTP server would send, and closes.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text) // nobody may be there
		_ = conn.Close()
	}
}

func ndjson(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { say(w, "application/x-ndjson", text) }
}

func oneMessage(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { say(w, typeJSON, text) }
}

func status(code int, header, value, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if header != "" {
			w.Header().Set(header, value)
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

// endless repeats a text until nobody reads it.
func endless(kind string, code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		for {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
	}
}

// TestHostileServices: whatever a service does ends its own task, with a reason that says what to change, or does no
// harm; the next task runs.
func TestHostileServices(t *testing.T) {
	const (
		kept   = iota
		failed // for good
		again  // worth another try
		limited
	)
	const result = `{"type":"result","result":"kept"}`
	kilobyte := strings.Repeat("x", 1<<10)
	for _, c := range []struct {
		kind   string
		answer http.HandlerFunc
		want   int
		reason string
	}{
		{"output of 1 GB without a newline", endless("application/x-ndjson", 200, kilobyte),
			failed, "message of more than 1 MiB"},
		{"one that is a document", endless(typeJSON, 200, kilobyte), failed, "message of more than 1 MiB; return less"},
		{"one that is an event", endless(typeEvents, 200, "data: "+kilobyte+"\n"),
			failed, "message of more than 1 MiB"},
		{"one that is an event's line", endless(typeEvents, 200, kilobyte), failed, "message of more than 1 MiB"},
		{"endless messages", endless("application/x-ndjson", 200, `{"type":"log","message":"`+kilobyte+"\"}\n"), failed,
			"more than 4194304 bytes (max_answer)"},
		{"endless messages that are none", endless("application/x-ndjson", 200, strings.Repeat("\n", 1<<10)),
			failed, "max_answer"},
		{"endless comments", endless(typeEvents, 200, ": "+kilobyte+"\n\n"), failed, "max_answer"},
		{"half a message", ndjson(`{"type":"result","resu`), failed, "no message"},
		{"half an event", func(w http.ResponseWriter, _ *http.Request) { say(w, typeEvents, "data: "+result) }, again,
			"ended without a last word"},
		{"half a body", raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n" + result),
			again,
			"broke off: unexpected EOF"},
		{"half a chunk", raw("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n40\r\n{"),
			again,
			"broke off"},
		{"no last word", ndjson(`{"type":"output","text":"a"}` + "\n"),
			again, "end it with a message result, error or retry"},
		{"nothing", ndjson(""), again, "ended without a last word"},
		{"wrong id", ndjson(`{"type":"result","id":"7","result":1}`), failed, `id "7", which is another task's`},
		{"two results", ndjson(result + "\n" + `{"type":"result","result":2}`), kept, ""},
		{"endless after the result", endless("application/x-ndjson", 200, result+"\n"), kept, ""},
		{"two documents", oneMessage(result + result), failed, "no message"},
		{"plain JSON", oneMessage(`{"answer":42}`), failed, `answer {"type":"result"`},
		{"array", oneMessage(`[1]`), failed, "JSON objects with a type"},
		{"binary", ndjson("\x00\x01\xff\n"), failed, "no message"},
		{"wrong type", ndjson(`{"type":"error","message":1}`), failed, "message error cannot be read"},
		{"wrong progress", ndjson(`{"type":"progress","percent":"x"}` + "\n" + result), kept, ""},
		{"unknown message", ndjson(`{"type":"new"}` + "\n" + result), kept, ""},
		{"own last word", ndjson(`{"type":"cancelled"}`), failed, "nobody has asked for"},
		{"submits nonsense", ndjson(`{"type":"submit","task":3}` + "\n" + result), again, "was not taken"},
		{"page", func(w http.ResponseWriter, _ *http.Request) { say(w, "text/html", "<html>") }, failed,
			`Content-Type "text/html"; it has to be`},
		{"no type", raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), failed, `Content-Type ""`},
		{"packed", status(200, "Content-Encoding", "gzip", "x"), failed, "send the answer as it is"},
		{"accepted", status(202, "", "", ""), failed, "answer 200 once the task is done"},
		{"no content", status(204, "", "", ""), failed, "answer 200 once the task is done"},
		{"redirect", status(307, "Location", "http://10.0.0.1/latest", ""),
			failed, `redirect to "10.0.0.1", which is not followed`},
		{"bad request", status(400, "", "", "no such language"), failed, "400 Bad Request: no such language"},
		{"unauthorized", status(401, "", "", ""), failed, "look at the token"},
		{"not there", status(404, "", "", "<html>"), failed, "the URL has to take tasks by POST"},
		{"fault", status(500, "", "", "KEY-1234 is wrong"), again, "500 Internal Server Error: [secret] is wrong"},
		{"gateway", status(502, "", "", ""), again, "502"},
		{"busy", status(503, "Retry-After", "1", ""), again, "503"},
		{"too much", status(429, "Retry-After", "1", ""), limited, "429"},
		{"too slow", status(408, "", "", ""), again, "408"},
		{"endless fault", endless("text/plain", 500, kilobyte), again, "500"},
		{"fault that does not end", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			say(w, "text/plain", "half a rea")
			<-r.Context().Done()
		}, again, "500 Internal Server Error: half a rea"},
		{"fault that says more", status(500, "Content-Type", typeJSON, `{"type":"error","message":"broken for good"}`),
			failed,
			"broken for good"},
		{"refusal that says more", status(422, "Content-Type", typeJSON, `{"type":"retry","message":"not yet"}`),
			again, "not yet"},
		{"closes", raw(""), again, "cannot be reached: EOF"},
		{"no HTTP", raw("SSH-2.0-OpenSSH_9.9\r\n"), again, "malformed HTTP"},
		{"long header", raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 64<<10)), again, "cannot be reached"},
		{"endless informing", raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100)), again, "cannot be reached"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			s := served(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // as a server does
				if r.Header.Get("Traceparent") != "" && r.URL.Path == "/hostile" {
					c.answer(w, r)
					return
				}
				say(w, typeJSON, result)
			}, func(c *Config) {
				c.MaxAnswer = 4 << 20
				c.Headers = map[string]string{"X-Key": "KEY-1234"}
			})
			good := s.config.URL
			s.config.URL += "/hostile"
			got, err := ask(context.Background(), s, "x", new(reported))
			var retryable *processor.RetryableError
			var snooze *processor.SnoozeError
			switch {
			case (c.want == kept) != (err == nil), c.want == kept && got != `"kept"`,
				(c.want == again) != errors.As(err, &retryable), (c.want == limited) != errors.As(err, &snooze):
				t.Errorf("it ends with %s, %v", got, err)
			case snooze != nil && !strings.Contains(snooze.Waits.Reason, c.reason),
				snooze == nil && err != nil && !strings.Contains(err.Error(), c.reason):
				t.Errorf("the reason is %q, want %q", err, c.reason)
			}
			s.config.URL = good
			if got, err := ask(context.Background(), s, "x", new(reported)); got != `"kept"` || err != nil {
				t.Errorf("the next task ends with %s, %v", got, err)
			}
		})
	}
}

// TestNobodyListens: that is worth another try, and the URL is not told.
func TestNobodyListens(t *testing.T) {
	s := served(t, raw(""), nil)
	s.config.URL = "http://127.0.0.1:1/secret-path"
	_, err := ask(t.Context(), s, "x", new(reported))
	var retryable *processor.RetryableError
	if !errors.As(err, &retryable) || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("%v", err)
	}
}
