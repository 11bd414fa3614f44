package setup

import (
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor"
)

// TestServicesAreSet: settings win over what services say themselves, one that is turned
// off is not offered.
func TestServicesAreSet(t *testing.T) {
	no := false
	settings := &config.Settings{Services: map[string]config.Service{
		"debug/echo": {Enabled: &no},
		"chat/text_analyzer": {Slots: 2, SoftTimeLimit: time.Second, TimeLimit: 2 * time.Second, HeartbeatLimit: time.Minute,
			Retry: config.Retry{MaxAttempts: 5, Backoff: time.Second, MaxBackoff: time.Minute, Multiplier: 3}},
	}}
	registry, err := NewRegistry(settings, BuiltIn(true, ""))
	if err != nil || strings.Join(registry.Names(), " ") != "chat/text_analyzer" {
		t.Fatalf("%v, %v", registry.Names(), err)
	}
	set := withSettings(processor.Service{Slots: 1, Retry: &processor.RetryPolicy{MaxAttempts: 1, Multiplier: 2}},
		config.Service{TimeLimit: time.Minute, Retry: config.Retry{MaxAttempts: 9}})
	if set.Slots != 1 || set.TimeLimit != time.Minute ||
		*set.Retry != (processor.RetryPolicy{MaxAttempts: 9, Multiplier: 2}) {
		t.Errorf("%+v %+v", set, set.Retry)
	}
}
