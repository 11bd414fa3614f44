package topology_test

import (
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// Who mistypes the prefix gets topics of their own, and is told of those that are there.
func TestTopicsBesideOthersAreToldOf(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	if _, err := b.Ensure(t); err != nil {
		t.Fatal(err)
	}
	meant := b.Spec.Topics.Prefix
	b.Spec.Topics.Prefix = "mistyped-" + meant
	report, err := b.Ensure(t)
	if err != nil {
		t.Fatal(err)
	}
	about := func(r topology.Report) string {
		for _, warning := range r.Warnings {
			if strings.Contains(warning, "--topic-prefix") {
				return warning
			}
		}
		return ""
	}
	if warning := about(report); !strings.Contains(warning, `"`+b.Spec.Topics.Prefix+`" were created`) {
		t.Errorf("of topics that were created beside others: %q", report.Warnings)
	}
	again, err := b.Ensure(t)
	if err != nil || about(again) != "" {
		t.Errorf("of topics that were there: %q, error %v", again.Warnings, err)
	}
}

func TestPrefixesThatKafkaDoesNotTake(t *testing.T) {
	for prefix, fine := range map[string]bool{
		"": true, "staging.": true, "team_a-": true, "my/": false, "mit leer": false, "ü": false,
		strings.Repeat("x", 200): true, strings.Repeat("x", 201): false,
	} {
		spec := topology.Spec{Topics: schemas.Topics{Prefix: prefix}, Lanes: []string{"fast"}}
		if err := spec.Validate(); (err == nil) != fine {
			t.Errorf("%.20q: %v", prefix, err)
		}
	}
}
