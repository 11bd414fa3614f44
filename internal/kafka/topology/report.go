package topology

import "strings"

// Report says what Ensure found and did.
type Report struct {
	Topics []TopicReport // in the order lanes, events, the rest
	// Warnings are about the cluster as a whole.
	Warnings []string
}

// TopicReport is one topic in a Report.
type TopicReport struct {
	Name       string
	Partitions int
	Created    bool     // by this call
	Stamped    bool     // this call has set message.timestamp.type=LogAppendTime
	Warnings   []string // options that differ from what they should be
}

// UnusableError says why the topics cannot be used as they are.
type UnusableError struct {
	// Problems are complete sentences for an operator, each with what to do.
	Problems []string
}

// Error joins the problems.
func (e *UnusableError) Error() string {
	return "check topics: " + strings.Join(e.Problems, "; ")
}

// problems is a UnusableError, or nil if there are none.
func problems(list []string) error {
	if len(list) == 0 {
		return nil
	}
	return &UnusableError{Problems: list}
}
