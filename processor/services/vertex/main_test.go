package vertex

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) {
	// A library below the SDK starts a goroutine when it is loaded.
	rapidtest.Main(m, 0, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}
