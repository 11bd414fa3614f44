package guard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestOptionsOfGroups: how long members may be silent can be said, and nothing that the
// engine would take as it comes.
func TestOptionsOfGroups(t *testing.T) {
	option := func(name, value string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = name, &value
		return c
	}
	without := option("consumer.session.timeout.ms", "")
	without.Value = nil
	remove := without
	remove.Op = kmsg.IncrementalAlterConfigOpDelete
	l := newUsage()
	for _, test := range []struct {
		option kmsg.IncrementalAlterConfigsRequestResourceConfig
		taken  bool
	}{
		{option("consumer.session.timeout.ms", "3000"), true},
		{option("consumer.heartbeat.interval.ms", "1000"), true},
		{remove, true},
		{without, false},
		{option("consumer.heartbeat.interval.ms", "0"), false},
		{option("consumer.session.timeout.ms", "9999999999999999999"), false},
		{option("consumer.session.timeout.ms", "3s"), false},
		{option("share.auto.offset.reset", "earliest"), false},
	} {
		if problem := l.configure("g",
			[]kmsg.IncrementalAlterConfigsRequestResourceConfig{test.option}); (problem == "") != test.taken {
			t.Errorf("%s: %q", test.option.Name, problem)
		}
	}
	for n := range maxGroups - 1 {
		if problem := l.configure(fmt.Sprint("other-", n), nil); problem != "" {
			t.Fatal(problem)
		}
	}
	for _, group := range []string{"one too many", strings.Repeat("x", maxName+1)} {
		if problem := l.configure(group, nil); problem == "" {
			t.Errorf("a group of %d letters is taken", len(group))
		}
	}
	if problem := l.configure("g", nil); problem != "" {
		t.Errorf("a known one is not: %s", problem)
	}
}
