package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/aiecs/tasklane/internal/config"
)

// FuzzParse: no content makes the parser fall over; what it refuses it refuses with a
// text, and what it takes is printed so that it is read as the same.
func FuzzParse(f *testing.F) {
	f.Add(whole)
	for _, text := range []string{"", "a: [1, {b: c}]", "? a\n: b\n", "a: |\n  b\n", "- - -", "{", "\t", "a: 'b",
		"%YAML 1.2\n---\n",
		"limits:\n- provider: p\n  rpm: 0x1F\n", "cache: {<<: *a}",
		"\xff\xfe", "providers: {openai: {organization: \"\\u2028\"}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings, err := config.Parse("f.yaml", []byte(text))
		var wrong *config.Error
		if err != nil {
			if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), "f.yaml:") {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if diff := cmp.Diff(settings, again(t, settings), equal, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
