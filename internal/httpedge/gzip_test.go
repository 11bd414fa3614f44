package httpedge

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
)

func zip(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	must(t, err)
	must(t, z.Close())
	return b.String()
}

func TestZippedBodies(t *testing.T) {
	w := newWorld(t, 1<<20, 10_000)
	send := func(encoding, body string) *sender {
		s := w.dial()
		s.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", encoding,
			len(body), body))
		return s
	}
	text := func(n int) string { return strings.Repeat("x", n) }
	for _, size := range []int{0, 1, 4096, 10_000} {
		send("gzip", zip(t, text(size))).expect(200, fmt.Sprint(size))
		send("X-GZip", zip(t, text(size))).expect(200, fmt.Sprint(size))
		send("identity", text(size)).expect(200, fmt.Sprint(size))
	}
	send("gzip", zip(t, text(3))+zip(t, text(4))).expect(200, "7") // a file may have several members
	send("gzip", zip(t, text(10_001))).expect(413, "0")
	send("gzip", zip(t, text(8<<20))).expect(413, "0")
	send("gzip", strings.Repeat(zip(t, ""), 300)).expect(200, "0")
	send("gzip", strings.Repeat(zip(t, ""), 1000)).expect(413, "0") // as it is sent it is too large
	damaged := []byte(zip(t, strings.Repeat("hello, world", 50)))
	damaged[len(damaged)-6] ^= 1
	for _, body := range []string{"{}", "\x1f\x8b", string(damaged), zip(t, text(500))[:20]} {
		send("gzip", body).expect(400, "0")
	}
	for _, encoding := range []string{"br", "deflate", "gzip, gzip", "identity, gzip", "zstd"} {
		send(encoding, zip(t, text(3))).expect(415, "0")
	}
	w.bodies.mu.Lock()
	defer w.bodies.mu.Unlock()
	if w.bodies.free != 1<<20 || len(w.bodies.held) != 0 || len(w.bodies.arriving) != 0 {
		t.Errorf("room is lost: %+v", w.bodies)
	}
}

// What decoding takes counts, and a body that is slow to come is ended as any other.
func TestSlowZippedBodies(t *testing.T) {
	w := newWorld(t, 1<<20, 1<<20)
	s := w.dial()
	s.send("POST / HTTP/1.1\r\nHost: x\r\nSender: ada\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
	s.chunk("\x1f\x8b")
	w.held("ada", unzipRoom+firstBuffer)
	w.bodies.Drain()
	s.expect(408, "0")
}
