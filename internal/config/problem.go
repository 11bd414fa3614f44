package config

import (
	"fmt"
	"slices"
	"strings"
)

// maxProblems bounds how many are told at once.
const maxProblems = 20

// Problem is what is wrong with a place of the file.
type Problem struct {
	File         string
	Line, Column int // from 1; 0 where the place is not known
	// Key is the setting, for example providers.openai.base_url; "" for the whole file.
	Key string
	// Text says what is wrong and what to write instead.
	Text string
}

func (p Problem) String() string {
	text := p.File
	if text == "" {
		text = "settings"
	}
	if p.Line > 0 {
		text += fmt.Sprintf(":%d:%d", p.Line, p.Column)
	}
	if p.Key != "" {
		text += ": " + p.Key
	}
	return text + ": " + p.Text
}

// Error is all that is wrong with a file.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, 0, maxProblems+1)
	for i, p := range e.Problems {
		if i == maxProblems {
			lines = append(lines, fmt.Sprintf("and %d more", len(e.Problems)-i))
			break
		}
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// sorted puts problems in the order of the file.
func sorted(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return problems
}
