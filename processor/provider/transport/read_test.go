package transport

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/processor/provider"
)

// gathered is an answer that keeps what it is given.
type gathered struct {
	events   []string
	document string
	whole    bool
}

func (g *gathered) Event(data []byte) (bool, error) {
	if string(data) == "bad" {
		return false, ErrMalformed
	}
	g.events = append(g.events, string(data))
	return string(data) == "end", nil
}

func (g *gathered) Document(data []byte) error {
	g.document = string(data)
	if g.document == "bad" {
		return ErrMalformed
	}
	return nil
}

func (g *gathered) Whole() bool { return g.whole }

// lines take each line for an event.
func lines(response *http.Response) func() ([]byte, bool) {
	scanner := bufio.NewScanner(response.Body)
	return func() ([]byte, bool) {
		ok := scanner.Scan()
		return scanner.Bytes(), ok
	}
}

// TestRead: a stream goes to its end mark and no further, a document is whole or it is none, and what is no UTF-8 is
// replaced in either.
func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		contentType, body string
		whole             bool
		want              string
		code              string
	}{
		"a stream":                  {"text/event-stream; charset=utf-8", "a\n\n  b \nend\nmore", false, "a b end", ""},
		"without its end":           {"text/event-stream", "a\nb", false, "a b", "stream_cut"},
		"whole without its end":     {"text/event-stream", "a\nb", true, "a b", ""},
		"with something wrong":      {"text/event-stream", "a\nbad\nend", false, "a", "malformed_answer"},
		"with half a character":     {"text/event-stream", "a\xc3\nend", false, "a\uFFFD end", ""},
		"a document":                {"application/json", "a\nb", false, "a\nb", ""},
		"of no kind":                {"", "a", false, "a", ""},
		"of a kind that is none":    {";;;", "a", false, "a", ""},
		"a document that is wrong":  {"text/html", "bad", false, "bad", "malformed_answer"},
		"with two halves of a text": {"application/json", "a\xff\xfeb", false, "a\uFFFDb", ""},
	} {
		transport := New(Config{Provider: "p", Base: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {c.contentType}},
				Body: io.NopCloser(strings.NewReader(c.body))}, nil
		})})
		ctx, call := transport.Begin(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://p.example", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		into := &gathered{whole: c.whole}
		err = call.Read(ctx, response, lines, into)
		var e *provider.Error
		if errors.As(err, &e) != (c.code != "") || e != nil && e.Code != c.code {
			t.Errorf("%s: got %v, want %q", name, err, c.code)
		}
		if got := strings.Join(into.events, " ") + into.document; got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
