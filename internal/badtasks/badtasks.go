// Package badtasks is a collection of what arrives on a lane and should not: records that are not JSON, not a task,
// or a task with something wrong, next to odd ones that are fine. Tests send all of them through a processor and
// look at what came out; none may be lost, stop a neighbour or end a process.
//
// The small cases also stand as files under schemas/testdata/bad, for programs
// in other languages; a test of this package writes and compares them.
package badtasks

import (
	"fmt"
	"strings"
)

// UserID is the user of every case that has a usable one of the usual form.
const UserID = "badtasks"

// MaxFileBytes is the size up to which a case also stands as a file.
const MaxFileBytes = 10 << 10

// Case is one record's value and what should become of it.
type Case struct {
	// Name is lower-case letters, digits and dashes, unique.
	Name  string
	Value []byte
	// Valid says that the task is run. One that is not goes to the dead letters.
	Valid bool
	// Identified says that its task and user can be told all the same, so that the user also gets a failed event.
	Identified bool
	// Field is the member named in the error, "" if it is the value as a whole.
	Field string
}

// TaskID is the task_id that a case of that name has if it has a usable one.
func TaskID(name string) string { return "bad-" + name }

// All is every case, small ones first. The values are fresh with each call; in all they take about 8 MiB.
func All() []Case {
	var cases []Case
	for _, more := range [][]Case{
		notJSON(), notObjects(), ambiguous(), badIDs(), missingMembers(), wrongTypes(), badNumbers(),
		badTexts(), badTimes(), badNested(), fine(), large(),
	} {
		cases = append(cases, more...)
	}
	return cases
}

// ids are the first two members of a case's task.
func ids(name string) string {
	return fmt.Sprintf(`"task_id":%q,"user_id":%q`, TaskID(name), UserID)
}

// names are the other three that a task must have.
const names = `"task_name":"echo","mode":"debug","service":"echo"`

// task is an otherwise good task with more members.
func task(name, members string) []byte {
	if members != "" {
		members = "," + members
	}
	return []byte("{" + ids(name) + "," + names + members + "}")
}

// broken is a case whose ids can be read and that is wrong in one member.
func broken(name, field, members string) Case {
	return Case{Name: name, Value: task(name, members), Identified: true, Field: field}
}

// lost is a case that nobody can be told about.
func lost(name, field, value string) Case {
	return Case{Name: name, Value: []byte(value), Field: field}
}

// good is an odd case that is run.
func good(name, members string) Case {
	return Case{Name: name, Value: task(name, members), Valid: true, Identified: true}
}

// slug makes a case's name of a member's.
func slug(s string) string { return strings.NewReplacer("_", "-", ".", "-").Replace(s) }
