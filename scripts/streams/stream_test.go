package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

const (
	created = "data: {\"type\":\"response.created\",\"sequence_number\":0}\n\n"
	one     = "data: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"You said: 0.0\"}\n\n"
	done    = "data: {\"type\":\"response.completed\",\"sequence_number\":2}\n\n"
)

// TestStreamsAreHeldAgainstWhatWasSent: what is wrong is told from a connection that ended, wherever it was cut.
func TestStreamsAreHeldAgainstWhatWasSent(t *testing.T) {
	for name, c := range map[string]struct {
		body         string
		ended, wrong bool
	}{
		"whole":             {created + one + done, true, false},
		"cut in an event":   {created + one[:20], false, false},
		"cut before a line": {created + strings.TrimSpace(one), false, false},
		"cut between":       {created + one, false, false},
		"nothing":           {"", false, false},
		"lost":              {created + done, false, true},
		"doubled":           {created + one + one, false, true},
		"out of order":      {one + created, false, true},
		"somebody else's":   {created + strings.Replace(one, "0.0", "1.0", 1) + done, true, true},
		"failed":            {created + strings.Replace(done, "2}", "1}", 1), true, true},
		"not JSON":          {created + "data: {\n", false, true},
	} {
		m := (&config{rate: 1, length: 1e9}).newStream(0)
		err := m.read(&http.Response{Body: io.NopCloser(strings.NewReader(c.body))})
		if wrong := errors.Is(err, errWrong); wrong != c.wrong || m.ended.IsZero() == c.ended ||
			(err == nil) != (c.ended && !c.wrong) {
			t.Errorf("%s: %v, ended %v", name, err, !m.ended.IsZero())
		}
	}
}

func TestSummary(t *testing.T) {
	if err := summary([]error{nil, nil}); err != nil {
		t.Error(err)
	}
	if err := summary([]error{nil, errWrong, nil}); !errors.Is(err, errWrong) || !strings.Contains(err.Error(), "1 of 3") {
		t.Error(err)
	}
}
