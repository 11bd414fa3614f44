package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

// kind is a packet's type, as the digit it is on the wire.
type kind byte

const (
	kindOpen    kind = '0'
	kindClose   kind = '1'
	kindPing    kind = '2'
	kindPong    kind = '3'
	kindMessage kind = '4'
	kindUpgrade kind = '5'
	kindNoop    kind = '6'
	// kindNone is no packet at all.
	kindNone kind = 0
)

const (
	// separator stands between the packets of a payload. JSON cannot contain it.
	separator = '\x1e'
	// binaryMark begins a binary message in a payload.
	binaryMark = 'b'
	// probe is what the ping and pong of an upgrade say.
	probe = "probe"
)

// Message is what applications exchange: UTF-8 text, or bytes.
type Message struct {
	Data   []byte
	Binary bool
}

// packet is one packet; binary only if it is a message.
type packet struct {
	kind   kind
	binary bool
	data   []byte
}

// packetOverhead is what a waiting packet costs beside its data, in bytes.
const packetOverhead = 64

func (p packet) size() int { return len(p.data) + packetOverhead }

var (
	errEmpty   = errors.New("a packet is empty")
	errKind    = errors.New("a packet's type is not 0 to 6")
	errUTF8    = errors.New("a packet is not valid UTF-8")
	errBase64  = errors.New("a binary packet is not base64")
	errControl = errors.New("a text message contains the packet separator")
)

// parsePacket reads a packet in the form of a WebSocket's text frame. The data is not copied.
func parsePacket(text []byte) (packet, error) {
	switch {
	case len(text) == 0:
		return packet{}, errEmpty
	case text[0] < byte(kindOpen) || text[0] > byte(kindNoop):
		return packet{}, errKind
	case !utf8.Valid(text):
		return packet{}, errUTF8
	}
	return packet{kind: kind(text[0]), data: text[1:]}, nil
}

// parsePayload visits the packets of a request's body until one cannot be read or visit reports false.
func parsePayload(body []byte, visit func(packet) bool) error {
	for more := true; more; {
		var part []byte
		part, body, more = bytes.Cut(body, []byte{separator})
		p, err := parsePart(part)
		if err != nil {
			return err
		}
		if !visit(p) {
			return nil
		}
	}
	return nil
}

func parsePart(part []byte) (packet, error) {
	if len(part) == 0 || part[0] != binaryMark {
		return parsePacket(part)
	}
	data, err := base64.StdEncoding.AppendDecode(nil, part[1:])
	if err != nil {
		return packet{}, errBase64
	}
	return packet{kind: kindMessage, binary: true, data: data}, nil
}

// appendFrame appends the packet in the form of a WebSocket frame; a binary message is its data alone, in a binary
// frame.
func (p packet) appendFrame(dst []byte) []byte {
	if !p.binary {
		dst = append(dst, byte(p.kind))
	}
	return append(dst, p.data...)
}

// appendPart appends the packet in the form it has in a payload.
func (p packet) appendPart(dst []byte) []byte {
	if p.binary {
		return base64.StdEncoding.AppendEncode(append(dst, binaryMark), p.data)
	}
	return p.appendFrame(dst)
}

func appendPayload(dst []byte, packets []packet) []byte {
	for i, p := range packets {
		if i > 0 {
			dst = append(dst, separator)
		}
		dst = p.appendPart(dst)
	}
	return dst
}
