package kafkatest_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/aiecs/tasklane/internal/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
