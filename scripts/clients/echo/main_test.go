package main

import (
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/aiecs/tasklane/internal/engineio/engineiotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inMemory runs a test of both servers in a bubble of its own time.
func inMemory(t *testing.T, test func(*testing.T, *engineiotest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		both := newServers()
		t.Cleanup(both.close) // after the clients
		test(t, engineiotest.Serve(t, both))
	})
}
