package socketio

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/engineio"
)

// Type is a packet's type, as the digit it is on the wire.
type Type byte

// The types.
const (
	Connect      Type = '0'
	Disconnect   Type = '1'
	Event        Type = '2'
	Ack          Type = '3'
	ConnectError Type = '4'
	BinaryEvent  Type = '5'
	BinaryAck    Type = '6'
)

// Root is the namespace that needs no name.
const Root = "/"

// NoID is the id of a packet that asks for no acknowledgement.
const NoID = -1

// MaxAttachments is the most binary attachments of a packet.
const MaxAttachments = 10

// Packet is one packet. In Data each attachment is a placeholder with its number.
type Packet struct {
	Type        Type
	Namespace   string
	ID          int64
	Data        jsontext.Value
	Attachments [][]byte
}

// ErrPacket is wrapped by the errors of what is no packet.
var ErrPacket = errors.New("not a Socket.IO packet")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrPacket, what) }

// Parse reads the text of a packet. The given number of attachments follow in binary messages. Data is not copied.
func Parse(text []byte) (p Packet, attachments int, err error) {
	if len(text) == 0 || text[0] < byte(Connect) || text[0] > byte(BinaryAck) {
		return p, 0, malformed("the type is not 0 to 6")
	}
	p = Packet{Type: Type(text[0]), Namespace: Root, ID: NoID}
	rest := text[1:]
	if p.binary() {
		if attachments, rest, err = cutAttachments(rest); err != nil {
			return p, 0, err
		}
	}
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte{','})
		p.Namespace, rest = string(name), after
	}
	if p.ID, rest, err = cutID(rest); err != nil {
		return p, 0, err
	}
	if len(rest) > 0 {
		p.Data = rest
	}
	return p, attachments, p.check()
}

func (p Packet) binary() bool { return p.Type == BinaryEvent || p.Type == BinaryAck }

// cutAttachments reads the number of attachments and the dash behind it.
func cutAttachments(text []byte) (int, []byte, error) {
	digits, rest, found := bytes.Cut(text, []byte{'-'})
	if !found || len(digits) == 0 || len(digits) > 2 || !isDigits(digits) {
		return 0, nil, malformed("the number of attachments is missing")
	}
	n, err := strconv.Atoi(string(digits))
	if err != nil || n > MaxAttachments {
		return 0, nil, malformed(fmt.Sprintf("more than %d attachments", MaxAttachments))
	}
	return n, rest, nil
}

// maxDigits keeps an id below 2^53, so that every client can hold it.
const maxDigits = 15

// cutID reads the digits in front of the data.
func cutID(text []byte) (int64, []byte, error) {
	n := 0
	for n < len(text) && isDigits(text[n:n+1]) {
		n++
	}
	switch {
	case n == 0:
		return NoID, text, nil
	case n > maxDigits:
		return NoID, nil, malformed("the id is too long")
	}
	id, err := strconv.ParseInt(string(text[:n]), 10, 64)
	if err != nil {
		return NoID, nil, malformed("the id is not a number")
	}
	return id, text[n:], nil
}

func isDigits(text []byte) bool {
	return !slices.ContainsFunc(text, func(b byte) bool { return b < '0' || b > '9' })
}

// check tells whether the data fits the type.
func (p Packet) check() error {
	if p.Data != nil && !p.Data.IsValid() {
		return malformed("the data is not JSON")
	}
	kind := p.Data.Kind()
	if p.Data == nil {
		kind = 0
	}
	switch p.Type {
	case Connect:
		if kind != 0 && kind != '{' {
			return malformed("the data of a connect is no object")
		}
	case Disconnect:
		if kind != 0 {
			return malformed("a disconnect has data")
		}
	case ConnectError:
		if kind != '{' && kind != '"' {
			return malformed("the data of a connect error is no object and no text")
		}
	case Event, BinaryEvent:
		_, _, err := p.event()
		return err
	case Ack, BinaryAck:
		if kind != '[' || p.ID == NoID {
			return malformed("an acknowledgement has no array or no id")
		}
	}
	return nil
}

// event is the name and the arguments of an event.
func (p Packet) event() (string, []jsontext.Value, error) {
	var all []jsontext.Value
	if p.Data == nil || p.Data.Kind() != '[' || json.Unmarshal(p.Data, &all) != nil || len(all) == 0 {
		return "", nil, malformed("the data of an event is no array with a name")
	}
	var name string
	switch all[0].Kind() {
	case '0':
		name = string(all[0])
	case '"':
		if err := json.Unmarshal(all[0], &name); err != nil {
			return "", nil, malformed("the name of an event cannot be read")
		}
	default:
		return "", nil, malformed("the name of an event is no text")
	}
	if reserved(name) {
		return "", nil, malformed("the name of an event is reserved")
	}
	return name, all[1:], nil
}

// reserved reports whether clients use the name for themselves.
func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// Append appends the text of the packet.
func (p Packet) Append(dst []byte) []byte {
	dst = append(dst, byte(p.Type))
	if p.binary() {
		dst = append(strconv.AppendInt(dst, int64(len(p.Attachments)), 10), '-')
	}
	if p.Namespace != Root {
		dst = append(append(dst, p.Namespace...), ',')
	}
	if p.ID != NoID {
		dst = strconv.AppendInt(dst, p.ID, 10)
	}
	return append(dst, p.Data...)
}

// messages is the packet as it is sent: its text and its attachments.
func (p Packet) messages() []engineio.Message {
	all := make([]engineio.Message, 0, 1+len(p.Attachments))
	all = append(all, engineio.Message{Data: p.Append(nil)})
	for _, bytes := range p.Attachments {
		all = append(all, engineio.Message{Data: bytes, Binary: true})
	}
	return all
}

// AppendEvent appends the text of an event of the root namespace.
func AppendEvent(dst []byte, name string, args ...jsontext.Value) []byte {
	dst = append(dst, byte(Event))
	return appendArray(dst, name, args)
}

// appendArray appends the data of an event. A name that is not UTF-8 is mended.
func appendArray(dst []byte, name string, args []jsontext.Value) []byte {
	dst = append(dst, '[')
	dst, _ = jsontext.AppendQuote(dst, name)
	for _, arg := range args {
		dst = append(append(dst, ','), arg...)
	}
	return append(dst, ']')
}

// appendArgs appends the data of an acknowledgement.
func appendArgs(dst []byte, args []jsontext.Value) []byte {
	dst = append(dst, '[')
	for i, arg := range args {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, arg...)
	}
	return append(dst, ']')
}
