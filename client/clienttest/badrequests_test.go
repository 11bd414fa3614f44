package clienttest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/internal/badrequests"
)

// What the API refuses the test's server refuses, in the same way.
func TestBadRequests(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("answer", double)
	if got := ask(t, s, "POST", "/v1/tasks", badrequests.Task()); got.status != 202 {
		t.Fatalf("%+v", got)
	}
	text := func(member any) string {
		if member == nil {
			return ""
		}
		return fmt.Sprint(member)
	}
	for _, bad := range badrequests.All() {
		got := ask(t, s, bad.Method, bad.Path, bad.Body)
		if got.status != bad.Status || text(got.body["field"]) != bad.Field || !strings.Contains(text(got.body["detail"]),
			bad.Says) {
			t.Errorf("%s: %s %s %s: %+v", bad.Name, bad.Method, bad.Path, bad.Body, got)
		}
	}
	if n := len(s.Tasks()); n != 1 {
		t.Errorf("%d tasks were taken", n)
	}
}
