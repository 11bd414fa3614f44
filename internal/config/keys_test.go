package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/internal/config"
)

// TestTheDocumentHasEveryKey: docs/CONFIG.md lists the settings there are and no other, in
// their order, and the variables.
func TestTheDocumentHasEveryKey(t *testing.T) {
	document, err := os.ReadFile("../../docs/CONFIG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, keys, _ := strings.Cut(string(document), "\n## Keys\n")
	keys, variables, _ := strings.Cut(keys, "\n## The environment\n")
	firsts := func(text string) (all []string) {
		for _, found := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
			all = append(all, found[1])
		}
		return all
	}
	if diff := cmp.Diff(config.Keys(), firsts(keys)); diff != "" {
		t.Errorf("docs/CONFIG.md has other keys than there are: %s", diff)
	}
	listed := firsts(variables)
	want := slices.Sorted(slices.Values(config.Variables()))
	if !slices.Equal(slices.Sorted(slices.Values(listed)), want) {
		t.Errorf("docs/CONFIG.md has the variables %q, there are %q", listed, want)
	}
	if len(listed) == 0 || len(config.Keys()) < 50 {
		t.Errorf("%d variables, %d keys", len(listed), len(config.Keys()))
	}
}
