package api_test

import (
	"context"
	"testing"

	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/internal/producertest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

type (
	world = producertest.World
	reply = producertest.Reply
)

func newWorld(t testing.TB, change ...func(*producer.Config)) *world {
	t.Helper()
	return producertest.New(t, change...)
}

func task(members string) string { return producertest.Task(members) }

func bounded(t testing.TB) context.Context { return producertest.Bounded(t) }

func must(t testing.TB, err error) {
	t.Helper()
	producertest.Must(t, err)
}
