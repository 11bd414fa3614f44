package openai

import (
	"bytes"
	"strings"
)

// transcript is what was sent of an attempt: its events, deltas of one text put together.
type transcript struct{ parts []part }

// part is an event, or the deltas of a text that followed one another.
type part struct {
	kind            string
	output, content int
	delta           bool
	text            []byte
}

// mark is how far another attempt has said the same.
type mark struct{ part, text int }

// partOf is an event for comparison. Ids differ from attempt to attempt and are left out.
func partOf(event object) part {
	p := part{kind: event.text("type"), output: event.index("output_index"), content: event.index("content_index")}
	switch {
	case strings.HasSuffix(p.kind, ".delta"):
		p.delta, p.text = true, []byte(event.text("delta"))
	case event.has("text"):
		p.text = []byte(event.text("text"))
	case event.has("arguments"):
		p.text = []byte(event.text("arguments"))
	case event.has("item"):
		p.text = []byte(asObject(event["item"]).text("type"))
	}
	return p
}

func (p part) sameText(other part) bool {
	return p.kind == other.kind && p.output == other.output && p.content == other.content && p.delta == other.delta
}

// ends reports whether a text is over after so many bytes.
func (p part) ends(at int) bool { return p.delta && at == len(p.text) }

// add notes an event that was sent.
func (t *transcript) add(event object) { t.note(partOf(event)) }

func (t *transcript) note(p part) {
	if last := len(t.parts) - 1; p.delta && last >= 0 && t.parts[last].sameText(p) {
		t.parts[last].text = append(t.parts[last].text, p.text...)
		return
	}
	t.parts = append(t.parts, p)
}

// compare goes on comparing at a place. rest is what the event says beyond all that was
// sent, nil for nothing; same is false if it says something else.
func (t *transcript) compare(at *mark, event object) (rest object, same bool) {
	p := partOf(event)
	if at.part < len(t.parts) && t.parts[at.part].ends(at.text) && !p.sameText(t.parts[at.part]) {
		*at = mark{part: at.part + 1}
	}
	if at.part >= len(t.parts) {
		return event, true
	}
	sent := t.parts[at.part]
	if !p.sameText(sent) {
		return nil, false
	}
	if !p.delta {
		if !bytes.Equal(p.text, sent.text) {
			return nil, false
		}
		*at = mark{part: at.part + 1}
		return nil, true
	}
	left := sent.text[at.text:]
	if bytes.HasPrefix(left, p.text) {
		at.text += len(p.text)
		return nil, true
	}
	if !bytes.HasPrefix(p.text, left) || at.part < len(t.parts)-1 {
		return nil, false
	}
	return event.clone().set("delta", string(p.text[len(left):])), true
}

// finished reports whether all that was sent was said again.
func (t *transcript) finished(at mark) bool {
	if at.part < len(t.parts) && t.parts[at.part].ends(at.text) {
		at.part++
	}
	return at.part >= len(t.parts)
}
