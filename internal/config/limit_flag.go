package config

import (
	"fmt"
	"strconv"
	"strings"
)

// WantLimit is how a limit is written on a command line.
const WantLimit = "PROVIDER/MODEL=rpm:N,itpm:N,otpm:N, " +
	"for example openai/gpt-5=rpm:600,itpm:90000,otpm:30000; MODEL may be *"

// ParseLimit reads a limit as it is written on a command line.
func ParseLimit(text string) (Limit, error) {
	refused := func(problem string) (Limit, error) {
		return Limit{}, fmt.Errorf("%s; want %s", problem, WantLimit)
	}
	// Models of other providers have slashes, colons and equals signs in their names.
	end := strings.LastIndexByte(text, '=')
	if end < 0 {
		return refused("there is no =")
	}
	provider, model, full := strings.Cut(text[:end], "/")
	l := Limit{Provider: provider, Models: []string{model}}
	if !full || model == "" || provider == "" {
		return refused("it names no provider/model")
	}
	for part := range strings.SplitSeq(text[end+1:], ",") {
		kind, value, _ := strings.Cut(part, ":")
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil || n < 1 {
			return refused(fmt.Sprintf("%q has no whole number of at least 1", part))
		}
		target := map[string]*int64{"rpm": &l.RPM, "itpm": &l.ITPM, "otpm": &l.OTPM}[strings.TrimSpace(kind)]
		switch {
		case target == nil:
			return refused(fmt.Sprintf("%q is none of rpm, itpm and otpm", kind))
		case *target != 0:
			return refused(kind + " is given twice")
		}
		*target = n
	}
	var problem string
	l.check("", func(key, text string) { problem = strings.TrimPrefix(key+" ", ".") + text })
	if problem != "" {
		return refused(problem)
	}
	return l, nil
}
