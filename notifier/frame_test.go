package notifier

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/kafka"
)

// wire is the server's end of a connection. It notes what is written to it, call by call.
type wire struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, bytes.Clone(b))
	return len(b), nil
}

// taken is what was written since it was last asked.
func (w *wire) taken() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.writes
	w.writes = nil
	return taken
}

// hijacked is a response whose connection is a wire.
type hijacked struct {
	*httptest.ResponseRecorder
	wire *wire
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.wire, bufio.NewReadWriter(bufio.NewReader(h.wire), bufio.NewWriter(h.wire)), nil
}

// pool counts how often the library takes a buffer to write with.
type pool struct {
	sync.Pool
	taken int
}

func (p *pool) Get() any { p.taken++; return p.Pool.Get() }

// accepted is a WebSocket of a notifier as it is after the handshake.
type accepted struct {
	*websocket.Conn
	wire    *wire
	client  net.Conn
	buffers *pool
	answer  string // to the handshake
}

func accept(t testing.TB, header ...string) *accepted {
	t.Helper()
	n, err := New(Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}, Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	a := &accepted{wire: new(wire), buffers: new(pool)}
	n.upgrader.WriteBufferPool = a.buffers
	a.client, a.wire.Conn = net.Pipe()
	t.Cleanup(func() { a.client.Close(); a.wire.Close() })
	r := httptest.NewRequest(http.MethodGet, "/ws?user_id=u", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if a.Conn, err = n.upgrader.Upgrade(hijacked{httptest.NewRecorder(), a.wire}, r, nil); err != nil {
		t.Fatal(err)
	}
	a.answer = string(bytes.Join(a.wire.taken(), nil))
	return a
}

// sizes are those around which a frame's header changes, and one that takes the library several writes.
var sizes = []int{0, 1, 125, 126, 127, 65535, 65536, 65537, 1 << 20}

// Byte for byte our frames are those that the library would write, also for clients that offer compression: the server
// never accepts it.
func TestFramesAreTheLibrarys(t *testing.T) {
	for name, header := range map[string][]string{
		"plain":       nil,
		"batches":     {"Sec-WebSocket-Protocol", protocolBatch},
		"compression": {"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"},
	} {
		t.Run(name, func(t *testing.T) {
			a := accept(t, header...)
			if strings.Contains(strings.ToLower(a.answer), "sec-websocket-extensions") {
				t.Fatalf("the handshake accepts an extension, and our frames know none: %s", a.answer)
			}
			for _, size := range sizes {
				text := bytes.Repeat([]byte("x"), size)
				if err := a.WriteMessage(websocket.TextMessage, text); err != nil {
					t.Fatal(err)
				}
				want := bytes.Join(a.wire.taken(), nil)
				if got := note(text).frame; !bytes.Equal(got, want) {
					t.Errorf("%d bytes: our frame begins %.12x, the library's %.12x", size, got, want)
				}
				if got := framed(item{message: note(text)}); !bytes.Equal(got, want) {
					t.Errorf("%d bytes are sent as %.12x", size, got)
				}
			}
			for size := range 126 {
				for _, kind := range []int{websocket.PingMessage, websocket.PongMessage} {
					ours := map[int]byte{websocket.PingMessage: pingFrame, websocket.PongMessage: pongFrame}[kind]
					data := strings.Repeat("x", size)
					if err := a.WriteControl(kind, []byte(data), time.Time{}); err != nil {
						t.Fatal(err)
					}
					got, want := appendControl(nil, ours, data), bytes.Join(a.wire.taken(), nil)
					if !bytes.Equal(got, want) {
						t.Errorf("a control frame of %d bytes is %x, the library's %x", size, got, want)
					}
				}
			}
		})
	}
}

// framed is an item as the writer appends it.
func framed(it item) []byte {
	w := new(writeBuffers)
	w.appendFrame(it)
	return w.buf
}

// Whatever is sent, alone, with a subscription's tag or several in one frame, the library writes the same for the same
// text.
func TestAnyTextIsFramedAsTheLibraryDoes(t *testing.T) {
	a := accept(t)
	rapid.Check(t, func(t *rapid.T) {
		w := &writeBuffers{buf: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "before")}
		before := bytes.Clone(w.buf)
		for range rapid.IntRange(1, 5).Draw(t, "count") {
			length := rapid.SampledFrom([]int{0, 1, 55, 60, 120, 30_000, 40_000}).Draw(t, "length")
			text := fmt.Appendf(nil, `{"a":%q}`, strings.Repeat("é", length))
			it := item{message: note(text)}
			if rapid.Bool().Draw(t, "tagged") {
				it.sub = newSubscription(nil, request{id: rapid.StringN(1, 20, 64).Draw(t, "id")})
			}
			w.batch = append(w.batch, it)
		}
		var texts [][]byte
		for _, it := range w.batch {
			texts = append(texts, it.appendText(nil))
		}
		if rapid.Bool().Draw(t, "together") {
			w.appendBatch()
			texts = [][]byte{bytes.Join(texts, []byte{'\n'})}
		} else {
			for _, it := range w.batch {
				w.appendFrame(it)
			}
		}
		for _, text := range texts {
			if err := a.WriteMessage(websocket.TextMessage, text); err != nil {
				t.Fatal(err)
			}
		}
		if want := slices.Concat(before, bytes.Join(a.wire.taken(), nil)); !bytes.Equal(w.buf, want) {
			t.Fatalf("%d messages became %d bytes, the library's are %d", len(w.batch), len(w.buf), len(want))
		}
	})
}

// Our frames are written to the connection under the library. That goes well as long as the library gives out that
// connection, keeps nothing of its own to be written later, and whatever it writes by itself is one whole frame in one
// call: calls do not mix.
func TestTheLibraryWritesOnlyWholeFrames(t *testing.T) {
	mask := [4]byte{1, 2, 3, 4}
	closeFrame := clientFrame(0x88, mask, binary.BigEndian.AppendUint16(nil, 1000))
	for name, test := range map[string]struct {
		said []byte
		code int // of the close frame that the library writes, 0 if it writes nothing
	}{
		"a message":                     {clientFrame(0x81, mask, []byte("hello")), 0},
		"a ping":                        {clientFrame(0x89, mask, []byte("x")), 0},
		"a pong":                        {clientFrame(0x8A, mask, []byte("y")), 0},
		"a message in pieces":           {slices.Concat(clientFrame(0x01, mask, nil), clientFrame(0x80, mask, nil)), 0},
		"a ping among pieces":           {slices.Concat(clientFrame(0x01, mask, nil), clientFrame(0x89, mask, nil)), 0},
		"a goodbye":                     {closeFrame, 1000},
		"a goodbye without a code":      {clientFrame(0x88, mask, nil), 1005},
		"a frame without a mask":        {[]byte{0x81, 1, 'x'}, 1002},
		"a reserved bit":                {clientFrame(0xC1, mask, []byte("x")), 1002},
		"an unknown opcode":             {clientFrame(0x83, mask, []byte("x")), 1002},
		"a continuation of nothing":     {clientFrame(0x80, mask, []byte("x")), 1002},
		"a ping of 126 bytes":           {clientFrame(0x89, mask, make([]byte, 126)), 1002},
		"a ping in pieces":              {clientFrame(0x09, mask, nil), 1002},
		"a goodbye of one byte":         {clientFrame(0x88, mask, []byte{3}), 1005},
		"a frame that is too long":      {clientFrame(0x81, mask, make([]byte, drainLimit+1))[:14], 1009},
		"a frame longer than there are": {append([]byte{0x81, 0xFF}, bytes.Repeat([]byte{0xFF}, 12)...), 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := accept(t)
			if a.NetConn() != net.Conn(a.wire) {
				t.Fatal("the library does not give out the connection that it was given")
			}
			n := &Notifier{cfg: Config{}.withDefaults()}
			zero := func() float64 { return 0 }
			k := &socket{n: n, conn: a.Conn, readerDone: make(chan struct{})}
			k.session = newSession(t.Context(), nullTransport{}, &n.cfg, newMeters(zero, zero))
			k.state.Store(writerOver) // nothing of ours is written
			go func() { _, _ = a.client.Write(test.said); a.client.Close() }()
			k.read(nil)
			writes := a.wire.taken()
			if test.code == 0 {
				if len(writes) > 0 {
					t.Fatalf("the library writes %x by itself", writes)
				}
				return
			}
			if len(writes) != 1 {
				t.Fatalf("the library writes %d times: %x", len(writes), writes)
			}
			frame := writes[0]
			if frame[0] != 0x88 || int(frame[1]) != len(frame)-2 {
				t.Fatalf("the library writes %x, which is not one close frame", frame)
			}
			if test.code == 1005 {
				if len(frame) != 2 {
					t.Errorf("a close frame without a code is answered %x", frame)
				}
			} else if code := int(binary.BigEndian.Uint16(frame[2:])); code != test.code {
				t.Errorf("closed with %d, want %d", code, test.code)
			}
		})
	}
}

// clientFrame is a frame as clients send it.
func clientFrame(first byte, mask [4]byte, payload []byte) []byte {
	frame := []byte{first}
	switch {
	case len(payload) < 126:
		frame = append(frame, 0x80|byte(len(payload)))
	case len(payload) < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(len(payload)))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(len(payload)))
	}
	frame = append(frame, mask[:]...)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	return frame
}

// A close frame of ours goes through the library: it is one call, bears the deadline it was given, and no other
// follows. A connection that only has raw frames written holds none of the library's buffers.
func TestWhatIsLeftToTheLibrary(t *testing.T) {
	a := accept(t)
	k := &socket{n: &Notifier{cfg: Config{}.withDefaults()}, conn: a.Conn}
	for _, it := range []item{{message: pong()}, {message: resume("AQAA")}} {
		if err := k.put(framed(it)); err != nil {
			t.Fatal(err)
		}
	}
	if writes := a.wire.taken(); len(writes) != 2 || a.buffers.taken != 0 {
		t.Errorf("two writes became %d, with %d buffers of the library", len(writes), a.buffers.taken)
	}
	k.writeClose(closing{CloseForbidden, strings.Repeat("r", 123)}, false)
	k.writeClose(goingAway(), false)
	writes := a.wire.taken()
	want := append([]byte{0x88, 125}, websocket.FormatCloseMessage(CloseForbidden, strings.Repeat("r", 123))...)
	if len(writes) != 1 || !bytes.Equal(writes[0], want) {
		t.Errorf("the farewell is %x", writes)
	}
	if err := a.WriteMessage(websocket.TextMessage, nil); !errors.Is(err, websocket.ErrCloseSent) {
		t.Errorf("after the close frame the library writes, or says %v", err)
	}
}

// A client with the library on its side reads what we write, whatever the mix of messages, pings and pongs in one
// write.
func TestTheLibraryReadsOurFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sent, got []string
		var b []byte
		for range rapid.IntRange(1, 20).Draw(t, "frames") {
			data := rapid.StringN(-1, -1, 125).Draw(t, "data")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				b, sent = appendControl(b, pingFrame, data), append(sent, "ping "+data)
			case 1:
				b, sent = appendControl(b, pongFrame, data), append(sent, "pong "+data)
			default:
				data = strings.Repeat(data, rapid.IntRange(0, 600).Draw(t, "times"))
				b, sent = append(b, note([]byte(data)).frame...), append(sent, "text "+data)
			}
		}
		here, there := net.Pipe()
		defer here.Close()
		go func() {
			defer there.Close()
			r, err := http.ReadRequest(bufio.NewReader(there))
			if err != nil {
				return
			}
			conn, err := (&websocket.Upgrader{}).Upgrade(hijacked{httptest.NewRecorder(), &wire{Conn: there}}, r, nil)
			if err != nil {
				return
			}
			for _, head := range conn.NetConn().(*wire).taken() {
				_, _ = there.Write(head)
			}
			_, _ = there.Write(b)
		}()
		dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return here, nil }}
		conn, res, err := dialer.Dial("ws://memory/ws", nil)
		if err != nil {
			t.Fatal(err, res)
		}
		conn.SetPingHandler(func(data string) error { got = append(got, "ping "+data); return nil })
		conn.SetPongHandler(func(data string) error { got = append(got, "pong "+data); return nil })
		for {
			kind, data, err := conn.ReadMessage()
			if err != nil {
				break
			}
			if kind != websocket.TextMessage {
				t.Fatalf("a message of kind %d", kind)
			}
			got = append(got, "text "+string(data))
		}
		if !slices.Equal(got, sent) {
			t.Fatalf("read %d of %d frames: %.200q, want %.200q", len(got), len(sent), got, sent)
		}
	})
}
