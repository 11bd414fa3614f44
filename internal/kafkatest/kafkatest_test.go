package kafkatest_test

import (
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, 0) }

func TestStartGivesABrokerThatAnswers(t *testing.T) {
	cl := kafkatest.Client(t, kafkatest.Start(t))
	if err := cl.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPrefixIsUniqueAndLegal(t *testing.T) {
	t.Run("odd/name with späce", func(t *testing.T) {
		a, b := kafkatest.Prefix(t), kafkatest.Prefix(t)
		if a == b {
			t.Errorf("%q twice", a)
		}
		if !strings.HasPrefix(a, "TestPrefixIsUniqueAndLegal-odd-name-with-sp-ce-") || !strings.HasSuffix(a, ".") {
			t.Errorf("prefix %q, want the test's name before and a dot behind", a)
		}
	})
}
