package api_test

import (
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/badrequests"
)

// What is refused is refused by both the API and the server for tests of submitting code.
func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	w.Post(badrequests.Task()).Expect(t, 202)
	for _, bad := range badrequests.All() {
		got := w.Do(bad.Method, bad.Path, bad.Body)
		if got.Code != bad.Status || got.Text("field") != bad.Field || !strings.Contains(got.Text("detail"), bad.Says) {
			t.Errorf("%s: %s %s %s: %d %s", bad.Name, bad.Method, bad.Path, bad.Body, got.Code, got.Raw)
		}
	}
	if n := len(w.Records("fast")); n != 1 {
		t.Errorf("%d records", n)
	}
}
