package notifier

import "encoding/binary"

// A server's WebSocket frames are a short header and the payload as it is. They are made here and not by the library,
// which would make them anew for each client: docs/adr/0015-websocket-frames.md says what this rests on.
const (
	// maxHeader is the longest header of a frame without a mask.
	maxHeader = 10

	textFrame = 0x80 | 0x1 // the last, and only, frame of a text message
	pingFrame = 0x80 | 0x9
	pongFrame = 0x80 | 0xA
)

func headerLength(payload int) int {
	switch {
	case payload < 126:
		return 2
	case payload < 1<<16:
		return 4
	}
	return maxHeader
}

// appendHeader appends the header of a text message of so many bytes.
func appendHeader(b []byte, payload int) []byte {
	switch headerLength(payload) {
	case 2:
		return append(b, textFrame, byte(payload))
	case 4:
		return binary.BigEndian.AppendUint16(append(b, textFrame, 126), uint16(payload))
	}
	return binary.BigEndian.AppendUint64(append(b, textFrame, 127), uint64(payload))
}

// appendControl appends a whole ping or pong; data has at most 125 bytes.
func appendControl(b []byte, kind byte, data string) []byte {
	return append(append(b, kind, byte(len(data))), data...)
}
