package config

import (
	"fmt"
	"strings"

	"github.com/aiecs/tasklane/internal/nearest"
)

// writtenService reads a service outside of the process as it is written on a command line:
// MODE/NAME=WHERE;OPTION=VALUE;…
type writtenService struct {
	want string // how it is written
	list string // the setting that it is a member of
}

func (w writtenService) refused(problem string) error {
	return fmt.Errorf("%s; want %s", problem, w.want)
}

// read gives its options to set, whose problem is "" if nothing is wrong.
func (w writtenService) read(text string, set func(key, value string) string) (name, where string, err error) {
	name, rest, ok := strings.Cut(text, "=")
	if !ok {
		return "", "", w.refused("there is no =")
	}
	parts := strings.Split(rest, ";")
	for _, part := range parts[1:] {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok && key == "" {
			continue
		}
		if problem := set(key, value); problem != "" {
			return "", "", w.refused(fmt.Sprintf("%s=%s: %s", key, value, problem))
		}
	}
	return name, strings.TrimSpace(parts[0]), nil
}

// check refuses the last of what is wrong with it.
func (w writtenService) check(name string, check func(below, name string, wrong report)) error {
	problem := ""
	check(w.list, name, func(key, text string) { problem = strings.TrimPrefix(key, w.list+".") + " " + text })
	if problem != "" {
		return w.refused(problem)
	}
	return nil
}

func unknownOption(key string, known ...string) (problem string) {
	if meant, near := nearest.Name(key, known...); near {
		return "the option is not known; did you mean " + meant + "?"
	}
	return "the option is not known; there are " + strings.Join(known, ", ")
}

func parseCount(text string, target *int) (problem string) {
	if _, err := fmt.Sscanf(text+"\n", "%d\n", target); err != nil || *target < 0 {
		return "must be a whole number of 0 or more"
	}
	return ""
}
