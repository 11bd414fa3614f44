package client

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAPIErrorReadsAProblem(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   APIError
		text   string
	}{
		{
			"a field at fault", 422,
			`{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"is missing","field":"user_id"}`,
			APIError{Status: 422, Title: "Unprocessable Entity", Detail: "is missing", Field: "user_id"},
			"422: Unprocessable Entity: user_id: is missing",
		},
		{
			"an unknown outcome", 504, `{"title":"Gateway Timeout","detail":"outcome unknown","task_id":"t1"}`,
			APIError{Status: 504, Title: "Gateway Timeout", Detail: "outcome unknown", TaskID: "t1"},
			"504: Gateway Timeout: outcome unknown",
		},
		{
			"the status of the response beats the body's", 503, `{"status":200,"title":"x"}`,
			APIError{Status: 503, Title: "x"}, "503: x",
		},
		{
			"a proxy's page", 502, "<html>bad gateway</html>\n",
			APIError{Status: 502, Title: "Bad Gateway", Detail: "<html>bad gateway</html>", foreign: true},
			"502: Bad Gateway: <html>bad gateway</html>",
		},
		{"nothing", 404, "", APIError{Status: 404, Title: "Not Found", foreign: true}, "404: Not Found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := newAPIError(tt.status, []byte(tt.body))
			if *got != tt.want {
				t.Errorf("got %+v, want %+v", *got, tt.want)
			}
			if got.Error() != tt.text {
				t.Errorf("reads %q, want %q", got.Error(), tt.text)
			}
		})
	}
}

func TestWhatIsWorthAnotherTry(t *testing.T) {
	again := map[int]bool{408: true, 429: true, 502: true, 503: true, 504: true}
	for status := 300; status < 600; status++ {
		err := error(&APIError{Status: status})
		if got := worthRetry(err); got != again[status] {
			t.Errorf("status %d: another try %v, want %v", status, got, again[status])
		}
	}
	if !worthRetry(unreachable(io.EOF)) {
		t.Error("a network error is worth another try")
	}
	if worthRetry(errMalformed) || worthRetry(errors.New("other")) {
		t.Error("an error of the program is not worth another try")
	}
	if err := unreachable(io.EOF); !errors.Is(err, ErrUnreachable) || !errors.Is(err, io.EOF) {
		t.Errorf("%v wraps not both", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"soon":                          0,
		"99999999999999999999":          0,
		"Sat, 31 Jan 2026 09:30:20 GMT": 20 * time.Second,
		"Sat, 31 Jan 2026 09:29:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", text, got, want)
		}
	}
}

func FuzzNewAPIError(f *testing.F) {
	f.Add(422, `{"title":"x","detail":"y","field":"a.b"}`)
	f.Add(500, `[1,2`)
	f.Add(503, strings.Repeat("x", 1000))
	f.Add(400, "{\"title\":\"\xff\"}")
	f.Fuzz(func(t *testing.T, status int, body string) {
		e := newAPIError(status, []byte(body))
		if e.Status != status {
			t.Fatalf("status %d became %d", status, e.Status)
		}
		if utf8.ValidString(body) && len(e.Error()) == 0 {
			t.Fatal("an error without a text")
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("7")
	f.Add("Sat, 31 Jan 2026 09:30:20 GMT")
	f.Fuzz(func(t *testing.T, text string) {
		if got := retryAfter(http.Header{"Retry-After": {text}}, time.Now()); got < 0 {
			t.Fatalf("Retry-After %q is %v", text, got)
		}
	})
}
