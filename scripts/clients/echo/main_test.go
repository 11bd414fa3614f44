package main

import (
	"testing"
	"testing/synctest"

	"github.com/aiecs/tasklane/internal/engineio/engineiotest"
	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, 0) }

// inMemory runs a test of both servers in a bubble of its own time.
func inMemory(t *testing.T, test func(*testing.T, *engineiotest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		both := newServers()
		t.Cleanup(both.close) // after the clients
		test(t, engineiotest.Serve(t, both))
	})
}
