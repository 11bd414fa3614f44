package schemas

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// identify reads the ids and names from a value that is not JSON as a whole:
// with NaN somewhere, bad UTF-8, too many levels, or cut off. It is nil if the
// value does not start as an object. It is linear and safe whatever the value.
//
// An id that is given twice with different texts, or is not proper UTF-8, is no
// id: nobody can say whose task it is.
func identify(b []byte) *Task {
	if text := bytes.TrimLeft(b, " \t\r\n"); len(text) == 0 || text[0] != '{' {
		return nil
	}
	var task Task
	spoilt := make(map[*string]bool)
	for s := enter(b); ; {
		quoted, value, ok := s.member()
		if !ok {
			break
		}
		name, err := jsontext.AppendUnquote(nil, quoted)
		target := task.text(name)
		if err != nil || target == nil {
			continue
		}
		text, ok := properText(value)
		if !ok || (*target != "" && *target != text) {
			spoilt[target] = true
			continue
		}
		*target = text
	}
	for target := range spoilt {
		*target = ""
	}
	return task.named()
}

// properText is the text of a value that is a whole JSON string.
func properText(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' || stringEnd(value) != len(value) {
		return "", false
	}
	text, err := jsontext.AppendUnquote(nil, value)
	return string(text), err == nil && utf8.Valid(text)
}
