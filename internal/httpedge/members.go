package httpedge

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/nearest"
	"github.com/aiecs/tasklane/schemas"
)

// UnknownMember refuses a member that is not among the known, all in dotted form, and
// says which may have been meant: one that was misspelt would be passed over, and what
// it was to do would not be done. A single known one is what was meant.
func UnknownMember(name string, known ...string) *Problem {
	detail := fmt.Sprintf("There is no member %.60q.", name)
	if meant, near := nearest.Field(name, known...); near || len(known) == 1 {
		detail += fmt.Sprintf(" Did you mean %q?", meant)
	}
	return Invalid(fmt.Sprintf("%.120s", name), detail)
}

// UnknownMembers is UnknownMember for the first member of an object in which the
// unknown ones were put, nil if it has none.
func UnknownMembers(object jsontext.Value, known ...string) *Problem {
	for name := range schemas.Members(object) {
		return UnknownMember(string(name), known...)
	}
	return nil
}

// MisspeltMember is UnknownMember for the first of the unknown members that is nearly a known one which is not among
// the said, nil if there is none. It is for objects that may have members of the client's own.
func MisspeltMember(unknown jsontext.Value, said []string, known ...string) *Problem {
	for name := range schemas.Members(unknown) {
		if meant, near := nearest.Name(string(name), known...); near && !slices.Contains(said, meant) {
			return UnknownMember(string(name), known...)
		}
	}
	return nil
}
