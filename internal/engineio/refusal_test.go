package engineio

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// Requests that are refused are counted by why, also those of clients that are too old;
// and a HEAD begins nothing.
func TestRefusedIsTold(t *testing.T) {
	var told []string
	s := New(Config{
		Accept:  func(*Conn, *http.Request) (Listener, error) { return nil, errors.New("asked") },
		Refused: func(r *RefusalError) { told = append(told, r.Reason()) },
	})
	for _, tt := range []struct {
		method, query string
		status        int
		says, reason  string
	}{
		{"GET", "EIO=3&transport=polling", 400, "EIO must be 4", "version"},
		{"GET", "EIO=4&transport=flashsocket", 400, "transport", "transport"},
		{"GET", "EIO=4&transport=polling&sid=x", 400, "has ended", "session"},
		{"POST", "EIO=4&transport=polling", 400, "GET", "method"},
		{"GET", "EIO=4&transport=polling&EIO=4", 422, "more than once", "request"},
		{"GET", "EIO=4&transport=polling&room=a;b", 422, "%3B", "request"},
		{"GET", "EIO=4&transport=polling&room=a", 500, "could not be opened", "unavailable"},
		{"HEAD", "EIO=4&transport=polling&room=a", 200, "", ""},
	} {
		told = nil
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, "/socket.io/?"+tt.query, nil))
		want := []string{tt.reason}
		if tt.reason == "" {
			want = nil
		}
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || !slices.Equal(told, want) {
			t.Errorf("%s %s: %d %s, counted %q", tt.method, tt.query, w.Code, w.Body, told)
		}
	}
}
