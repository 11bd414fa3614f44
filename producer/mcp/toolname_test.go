package mcp

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var validName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func TestToolNames(t *testing.T) {
	for _, tt := range []struct{ mode, service, task, want string }{
		{"chat", "text_analyzer", "detect_language", "chat-text_analyzer-detect_language"},
		{"debug", "echo", "echo", "debug-echo-echo"},
		{"A", "1", "_", "A-1-_"},
		{"celery", "shop", "shop.tasks.add", "celery-shop-shop_tasks_add-294acb7ffe"},
		{"a-b", "c", "d", "a_b-c-d-"},
		{"a", "b-c", "d", "a-b_c-d-"},
		{"文档", "生成", "写", "__-__-_-"},
		{"a", "b", "", "a-b--"},
		{"mode", "service", strings.Repeat("x", 51), "mode-service-" + strings.Repeat("x", 51)},
		{"mode", "service", strings.Repeat("x", 52), "mode-service-" + strings.Repeat("x", 17) + "-"},
		{strings.Repeat("m", 1024), strings.Repeat("s", 1024), strings.Repeat("t", 1024),
			strings.Repeat("m", 17) + "-" + strings.Repeat("s", 17) + "-" + strings.Repeat("t", 17) + "-"},
	} {
		got := toolName(tt.mode, tt.service, tt.task)
		if !strings.HasPrefix(got, tt.want) || !validName.MatchString(got) {
			t.Errorf("%s/%s %s is %s, want %s", tt.mode, tt.service, tt.task, got, tt.want)
		}
		if again := toolName(tt.mode, tt.service, tt.task); again != got {
			t.Errorf("%s and then %s", got, again)
		}
	}
}

// Every task has a name that models and clients take, and no other task has it.
func TestToolNamesAreValidAndDiffer(t *testing.T) {
	part := rapid.OneOf(rapid.StringMatching(`[a-c_-]{0,4}`), rapid.StringMatching(`[a-z.]{1,40}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		a := [3]string{part.Draw(t, "mode"), part.Draw(t, "service"), part.Draw(t, "task")}
		b := [3]string{part.Draw(t, "other mode"), part.Draw(t, "other service"), part.Draw(t, "other task")}
		first, second := toolName(a[0], a[1], a[2]), toolName(b[0], b[1], b[2])
		if !validName.MatchString(first) || !validName.MatchString(second) {
			t.Fatalf("%q and %q", first, second)
		}
		if (a == b) != (first == second) {
			t.Fatalf("%q is %s and %q is %s", a, first, b, second)
		}
	})
}

// Moving a hyphen from one part to the next makes another tool.
func TestToolNamesOfNeighbours(t *testing.T) {
	seen := map[string][3]string{}
	for _, parts := range [][3]string{
		{"a-b", "c", "d"}, {"a", "b-c", "d"}, {"a", "b", "c-d"}, {"a_b", "c", "d"}, {"a", "b_c", "d"}, {"a", "b", "c_d"},
		{"a", "b", "c"}, {"a.b", "c", "d"}, {"a b", "c", "d"}, {"a", "b", "c-0123456789"},
	} {
		name := toolName(parts[0], parts[1], parts[2])
		if other, taken := seen[name]; taken {
			t.Errorf("%q and %q are both %s", parts, other, name)
		}
		seen[name] = parts
	}
}
