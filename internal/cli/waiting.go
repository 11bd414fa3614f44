package cli

import (
	"strings"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// waitsFor is what a message leaves out of what a task waits for: the name of what was paused, by whom, and until when;
// "" if there is none of it.
func waitsFor(w *schemas.Waiting) string {
	if w == nil {
		return ""
	}
	var parts []string
	if w.Name != "" {
		parts = append(parts, w.Name)
	}
	if w.By != "" {
		parts = append(parts, "by "+w.By)
	}
	if w.Until != nil {
		parts = append(parts, "until "+w.Until.UTC().Format(time.RFC3339))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
