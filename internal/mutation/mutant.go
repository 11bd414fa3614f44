package mutation

import (
	"fmt"
	"strings"
)

// Mutant is a package with one rule taken out.
type Mutant struct {
	Rule  string
	Edits []Edit
	// By is the pattern of the tests that have to notice it; [Suite.By] if empty.
	By string
}

// Edit is a file, a text that stands in it exactly once, and the text that takes
// its place. What it changes must be inside of functions, or be functions that
// are added.
type Edit [3]string

// apply gives the text of a file as the mutant has it.
func (m *Mutant) apply(file, text string) (string, error) {
	for _, e := range m.Edits {
		if e[0] != file {
			continue
		}
		if n := strings.Count(text, e[1]); n != 1 {
			return "", fmt.Errorf("%s holds this %d times, want once:\n%s", file, n, e[1])
		}
		text = strings.Replace(text, e[1], e[2], 1)
	}
	return text, nil
}
