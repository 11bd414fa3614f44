package taskview

import (
	"testing"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }
