package remote

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/processor/external/message"
)

// anyKind is the kind of requests with a message on each line.
const anyKind = ""

// batch is what a worker says with one request. It is taken as a whole.
type batch struct {
	messages []*message.Message
	told     []byte        // what the worker is told of it; belongs to the attempt's handler until done
	done     chan struct{} // closed when it was taken
}

// maxShown is how much of a worker's own text it is shown.
const maxShown = 80

// readBatch reads a request about the attempt with the id: messages on lines of their own, or one of a kind. The error
// is a problem, and then nothing of it is taken.
func readBatch(kind, id string, body []byte) (*batch, error) {
	b := &batch{done: make(chan struct{})}
	if kind != anyKind {
		m, err := readMessage(kind, id, body)
		if err != nil {
			return nil, refused("", err.Error())
		}
		b.messages = append(b.messages, m)
		return b, nil
	}
	n := 0
	for line := range bytes.Lines(body) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if len(b.messages) > 0 && b.messages[len(b.messages)-1].Last() {
			return nil, refused(fmt.Sprintf("line %d: ", n),
				"there is a message after the last word; send result, error, retry or cancelled last, and once")
		}
		m, err := readMessage(anyKind, id, line)
		if err != nil {
			return nil, refused(fmt.Sprintf("line %d: ", n), err.Error())
		}
		b.messages = append(b.messages, m)
	}
	return b, nil
}

// last is the message that ends the attempt, nil if none does.
func (b *batch) last() *message.Message {
	if len(b.messages) > 0 && b.messages[len(b.messages)-1].Last() {
		return b.messages[len(b.messages)-1]
	}
	return nil
}

func refused(where, why string) error {
	return httpedge.NewProblem(http.StatusBadRequest, where+why+"; nothing of this request was taken")
}

// readMessage reads a message of a kind, or of the one that it names.
func readMessage(kind, id string, text []byte) (*message.Message, error) {
	if kind != anyKind && len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}")
	}
	m, err := message.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%.*q is no message; messages are JSON objects, each with a type", maxShown,
			text[:min(len(text), maxShown)])
	case m.ID != "" && m.ID != id:
		return nil, fmt.Errorf("the message has the id %.*q, and the address that of another attempt; leave it out of the "+
			"message", maxShown, m.ID)
	case kind != anyKind && m.Type != "" && m.Type != kind:
		return nil, fmt.Errorf("the message has the type %.*q, and the address is that of %s", maxShown, m.Type, kind)
	case kind != anyKind:
		m.Type = kind
	case m.Type == "":
		return nil, fmt.Errorf(`%.*q has no type; write {"type":"progress","percent":40}`, maxShown,
			text[:min(len(text), maxShown)])
	}
	switch {
	case m.Type == message.Ready:
		return nil, fmt.Errorf("ready is no message about a task; POST it to /v1/worker/ready")
	case m.Type == message.Result && m.Result == nil && m.Wrong == "":
		return nil, fmt.Errorf(`the member result is missing; write {"result": …}, with null where there is none`)
	}
	return m, nil
}
