package nearest

import (
	"strings"

	"github.com/aiecs/tasklane/schemas"
)

// TaskField is [Field] for the members of a task and more.
func TaskField(name string, more ...string) (field string, near bool) {
	return Field(name, append(schemas.TaskFields(), more...)...)
}

// Field is the member, of those in dotted form, that was most likely meant by one that
// is not known, and whether it is near enough to ask for. It may be one beside it, or
// one that belongs into another member and was sent outside of it.
func Field(name string, fields ...string) (field string, near bool) {
	inside := name[:strings.LastIndexByte(name, '.')+1]
	full := map[string]string{}
	var known []string
	for _, field := range fields {
		if parent := field[:strings.LastIndexByte(field, '.')+1]; inside == "" || inside == parent {
			short := strings.TrimPrefix(field, parent)
			known, full[short] = append(known, short), field
		}
	}
	found, near := Name(strings.TrimPrefix(name, inside), known...)
	return full[found], near
}
