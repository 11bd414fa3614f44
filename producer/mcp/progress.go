package mcp

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// maxTokenBytes bounds a token of progress, which every notification repeats.
const maxTokenBytes = 1 << 10

// progress makes the notifications of a task's progress. Their values only rise, as the protocol asks: what a later
// attempt reports is told again from where the earlier one was. What is superseded before it could be told is left
// out.
type progress struct {
	token  jsontext.Value
	counts bool // told as current of total, and not in percent
	begun  bool
	last   float64
	next   object // what is to be told, nil if nothing is
}

// progressOf is that of a request, nil if it asks for none.
func progressOf(token jsontext.Value) *progress {
	if !validID(token) || len(token) > maxTokenBytes {
		return nil
	}
	return &progress{token: token}
}

// take looks at an event.
func (p *progress) take(e *schemas.Event) {
	if p == nil || e.Kind != schemas.KindProgress || e.Progress == nil {
		return
	}
	said := e.Progress
	if !p.begun {
		p.counts = said.Total > 0
	}
	value, total := said.Percent, float64(100)
	if p.counts {
		if value, total = float64(said.Current), float64(said.Total); said.Total <= 0 {
			return
		}
	}
	if p.begun && value <= p.last {
		return
	}
	p.begun, p.last = true, value
	p.next = object{"progressToken": p.token, "progress": value, "total": total}
	if text := progressText(said); text != "" {
		p.next["message"] = text
	}
}

// tell is what is to be told since the last time, nil if nothing is.
func (p *progress) tell() object {
	if p == nil {
		return nil
	}
	next := p.next
	p.next = nil
	return next
}

// progressText is how far a task is in words.
func progressText(p *schemas.Progress) string {
	percent := strconv.FormatFloat(p.Percent, 'f', -1, 64) + "%"
	if p.Total <= 0 {
		return percent
	}
	text := strconv.FormatInt(p.Current, 10) + " of " + strconv.FormatInt(p.Total, 10)
	if p.Unit != "" {
		text += " " + p.Unit
	}
	return text
}
