package setup

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

// The SDK of Vertex starts a goroutine for ever when its package is loaded.
func TestMain(m *testing.M) {
	rapidtest.Main(m, 0, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}
