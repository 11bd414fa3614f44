package cli

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/schemas"
)

func TestTargetsOfACommandLine(t *testing.T) {
	for _, tt := range []struct {
		kind, name, want string
	}{
		{"lane", "heavy", "lane/heavy"},
		{"user", "a/b c", "user/a%2Fb%20c"},
		{"task_name", "50%", "task_name/50%25"},
		{"service", "chat/open/ai", "service/chat/open%2Fai"},
		{"task", "a/b/t-1", "task/a%2Fb/t-1"},
	} {
		target, err := parseTarget(tt.kind, tt.name)
		if err != nil || target.String() != tt.want {
			t.Errorf("%s %s: %s (%v), want %s", tt.kind, tt.name, target, err, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"lane", "user", "task_name", "service", "task", "", "x"}).Draw(t, "kind")
		target, err := parseTarget(kind, rapid.StringN(0, 20, -1).Draw(t, "name"))
		if err != nil {
			return
		}
		if again, err := schemas.ParseTarget(target.String()); err != nil || again != target {
			t.Fatalf("%+v is read back as %+v (%v)", target, again, err)
		}
	})
}

func TestTargetsThatAreNoneNameWhatToWrite(t *testing.T) {
	for _, words := range [][2]string{{"planet", "earth"}, {"task", "t-1"}, {"service", "chat"}, {"lane", "FAST"},
		{"user", ""}} {
		if target, err := parseTarget(words[0], words[1]); !isUsage(err) || target != (schemas.Target{}) {
			t.Errorf("%v: %+v, %v", words, target, err)
		}
	}
}
