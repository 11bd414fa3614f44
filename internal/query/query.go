// Package query reads the queries of requests strictly. A query that is only half
// understood answers another question than the one that was asked, and often a wider
// one: without the user that a semicolon cut off it is about everybody's tasks.
package query

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aiecs/tasklane/internal/nearest"
)

// InvalidError is why a query is not taken.
type InvalidError struct {
	// Field is the name of the parameter, as it was sent.
	Field string
	// Detail says what is wrong and what to change, as a sentence.
	Detail string
	// Nearest is the known name that was meant by an unknown one, "" if none is near.
	Nearest string
}

func (e *InvalidError) Error() string { return "read query: " + e.Detail }

// Parse reads a query, as it stands in the request. Parameters that are malformed, empty, given
// more than once or not among the allowed are refused with an [*InvalidError].
func Parse(raw string, allowed ...string) (url.Values, error) {
	values, err := ParseOpen(raw, allowed...)
	if err != nil {
		return nil, err
	}
	for pair := range strings.SplitSeq(raw, "&") { // in the order they were sent, so that the answer is always the same
		name, _, _ := strings.Cut(pair, "=")
		if name, _ = url.QueryUnescape(name); pair != "" && !slices.Contains(allowed, name) {
			return nil, unknown(name, allowed)
		}
	}
	return values, nil
}

// ParseOpen is [Parse] for a query that may have any parameters beside the known, such as those
// that a client library lets its users add. Only those may be empty: an empty one of the known is
// most often a variable that was not set, and would count as left out.
func ParseOpen(raw string, known ...string) (url.Values, error) {
	values := make(url.Values)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, err := parsePair(pair)
		if err != nil {
			return nil, err
		}
		if values.Has(name) {
			return nil, &InvalidError{Field: name, Detail: fmt.Sprintf("The query has %s more than once. Give it once.",
				quote(name))}
		}
		if value == "" && slices.Contains(known, name) {
			return nil, &InvalidError{Field: name,
				Detail: fmt.Sprintf("The query's %s is empty. Give it a value, or leave it out.", quote(name))}
		}
		values.Set(name, value)
	}
	return values, nil
}

func parsePair(pair string) (name, value string, _ error) {
	rawName, rawValue, _ := strings.Cut(pair, "=")
	name, badName := url.QueryUnescape(rawName)
	value, badValue := url.QueryUnescape(rawValue)
	malformed := func(what string) error {
		field := name
		if badName != nil {
			field = rawName
		}
		return &InvalidError{Field: strings.ToValidUTF8(field, "\uFFFD"),
			Detail: fmt.Sprintf("The query's %s %s.", quote(field), what)}
	}
	switch {
	case strings.Contains(pair, ";"):
		return "", "", malformed("has a semicolon; write %3B for it, and & between parameters")
	case badName != nil || badValue != nil:
		return "", "", malformed("has a percent sign without two hexadecimal digits behind it; write %25 for it")
	case name == "":
		return "", "", malformed("is no name; write NAME=VALUE, with & between parameters")
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return "", "", malformed("is not valid UTF-8")
	}
	return name, value, nil
}

func unknown(name string, allowed []string) error {
	e := &InvalidError{Field: name, Detail: fmt.Sprintf("There is no parameter %s here.", quote(name))}
	if found, near := nearest.Name(name, allowed...); near {
		e.Nearest = found
		e.Detail += fmt.Sprintf(" Did you mean %q?", found)
	}
	if len(allowed) == 0 {
		e.Detail += " This address takes none."
	} else {
		e.Detail += " Known are " + strings.Join(allowed, ", ") + "."
	}
	return e
}

// quote shows a name as it was sent, short enough for a close frame.
func quote(name string) string {
	const most = 40
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "..."
	}
	return fmt.Sprintf("%q", name)
}
