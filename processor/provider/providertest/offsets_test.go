package providertest_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/processor/provider"
	. "github.com/aiecs/tasklane/processor/provider/providertest"
)

// hearing keeps the bytes of the answers that come through it.
type hearing struct {
	base   http.RoundTripper
	header http.Header
	body   bytes.Buffer
}

func (h *hearing) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := h.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	h.header = response.Header.Clone()
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(response.Body, &h.body), response.Body}
	return response, nil
}

// noCredentials lets vertex be asked without a token.
func noCredentials(t *testing.T) {
	t.Helper()
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
}

func question() provider.Request {
	return provider.Request{Model: "m", MaxOutputTokens: 50,
		Messages: []provider.Message{{Role: provider.RoleUser, Parts: []provider.Part{{Text: "one two"}}}}}
}

// TestCutAtEveryByte: an answer that ends anywhere before its end, in order or because the connection is lost, is cut
// and never taken for whole. What had come is in the result and is what was streamed; usage is that of the whole, or
// says that it is estimated.
func TestCutAtEveryByte(t *testing.T) {
	noCredentials(t)
	const text = "one two"
	eachWay(t, func(t *testing.T, a adapter, stream bool) {
		s := Start(t)
		base := new(http.Transport)
		heard := &hearing{base: base}
		t.Cleanup(base.CloseIdleConnections)
		r := question()
		r.Stream = stream
		s.Script(Answer{Text: text})
		whole, _, err := Ask(t, a.mustMake(t, setting{url: s.URL, anonymous: true, base: heard}), r)
		if err != nil || whole.Text != text || heard.body.Len() < 200 {
			t.Fatalf("got %+v, %v", whole, err)
		}
		body := heard.body.Bytes()
		answer := &Replay{Header: heard.header}
		p := a.mustMake(t, setting{url: s.URL, anonymous: true, base: answer})
		answered := 0
		for n := range body {
			answer.Body, answer.Err = body[:n], []error{nil, io.ErrUnexpectedEOF}[n%2]
			got, streamed, err := Ask(t, p, r)
			var e *provider.Error
			switch {
			case err == nil && (got.Text != text || got.Finish != provider.FinishStop):
				t.Fatalf("%d of %d bytes are taken for whole: %+v", n, len(body), got)
			case err == nil:
				answered++
			case !errors.As(err, &e) || e.Kind != provider.Cut:
				t.Fatalf("%d of %d bytes: got %v", n, len(body), err)
			}
			if !strings.HasPrefix(text, got.Text) || stream && streamed != got.Text || answer.Requests() != n+1 {
				t.Fatalf("%d of %d bytes: got %q, streamed %q, asked %d times", n, len(body), got.Text, streamed,
					answer.Requests())
			}
			if u := got.Usage; u != nil && !u.Estimated && *u != *whole.Usage {
				t.Fatalf("%d of %d bytes: usage is %+v and not %+v", n, len(body), u, whole.Usage)
			}
		}
		// All that may be missing is what comes after the last event that matters.
		if most := len(body) / 3; answered > most {
			t.Errorf("%d of %d parts are taken for whole", answered, len(body))
		}
	})
}
