package mcp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// maxIDBytes bounds the id of a request, which its answer repeats.
const maxIDBytes = 1 << 10

// object is a JSON object that is written.
type object map[string]any

// encode is an object as JSON on one line, its members in order. Results of services are in it as they are.
func encode(o object) ([]byte, error) {
	b, err := json.Marshal(o, json.Deterministic(true), jsontext.AllowInvalidUTF8(true),
		jsontext.AllowDuplicateNames(true))
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return b, nil
}

// message is one JSON-RPC message of a client. A request has an id and a method, a notification a method, a
// response neither.
type message struct {
	ID     jsontext.Value
	Method string
	Params jsontext.Value
}

// isRequest reports whether the message wants an answer.
func (m *message) isRequest() bool { return len(m.ID) > 0 && m.Method != "" }

// wire is a message as it is sent. What a member may be is looked at one by one, so that the answer can name it.
type wire struct {
	Version jsontext.Value `json:"jsonrpc"`
	ID      jsontext.Value `json:"id"`
	Method  jsontext.Value `json:"method"`
	Params  jsontext.Value `json:"params"`
	Result  jsontext.Value `json:"result"`
	Error   jsontext.Value `json:"error"`
}

// parse reads a body that has to be one message. Its error is a [*rpcError] with the message's id, if that could be
// read.
func parse(body []byte) (*message, error) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, newError(parseError, "the body is empty; send one JSON-RPC message")
	case body[0] == '[':
		return nil, newError(invalidRequest, "batches are not taken; send each message in a POST of its own")
	}
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, malformed(body, err)
	}
	m := new(message)
	if err := m.take(&w); err != nil {
		err.id = m.ID
		return nil, err
	}
	return m, nil
}

func malformed(body []byte, err error) *rpcError {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return newError(invalidRequest, "the body must be one JSON object: a JSON-RPC message")
	}
	if format := schemas.ForeignFormat(body, "send it as it is, or with Content-Encoding: gzip"); format != "" {
		return newError(parseError, "the body "+format)
	}
	return newError(parseError, fmt.Sprintf("the body is not valid JSON at byte %d: %v", syntax.ByteOffset, syntax.Err))
}

// take reads the members of a message. The id comes first: what else is wrong is answered under it.
func (m *message) take(w *wire) *rpcError {
	if len(w.ID) > 0 {
		if !validID(w.ID) {
			return newError(invalidRequest, fmt.Sprintf("id must be a string or an integer of at most %d bytes", maxIDBytes))
		}
		m.ID = w.ID
	}
	if textOf(w.Version) != "2.0" {
		return newError(invalidRequest, `jsonrpc must be "2.0"`)
	}
	if len(w.Method) == 0 {
		if len(m.ID) > 0 && (len(w.Result) > 0) != (len(w.Error) > 0) {
			return nil // a response
		}
		return newError(invalidRequest, "method is missing")
	}
	if m.Method = textOf(w.Method); m.Method == "" {
		return newError(invalidRequest, "method must be a string that is not empty")
	}
	if m.Params = w.Params; len(m.Params) > 0 && m.Params.Kind() != '{' {
		return newError(invalidParams, "params must be an object")
	}
	return nil
}

func validID(id jsontext.Value) bool {
	if len(id) > maxIDBytes {
		return false
	}
	switch id.Kind() {
	case '"':
		return true
	case '0':
		_, err := strconv.ParseInt(string(id), 10, 64)
		return err == nil
	}
	return false
}

// textOf is a value that is a text, "" for any other.
func textOf(v jsontext.Value) string {
	var text string
	if len(v) == 0 || v.Kind() != '"' || json.Unmarshal(v, &text) != nil {
		return ""
	}
	return text
}

// members are those of a value that is an object, nil for any other.
func members(v jsontext.Value) map[string]jsontext.Value {
	var o map[string]jsontext.Value
	if len(v) == 0 || v.Kind() != '{' || json.Unmarshal(v, &o) != nil {
		return nil
	}
	return o
}
