package listen

import (
	"bytes"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/aiecs/tasklane/internal/httpedge"
)

// Load balancers ask an address for its health, and some over HTTP/1.1 without a Host line. net/http refuses that
// before any handler sees it. So the first request of a connection, if it is such a check, is given an empty one, which
// is what RFC 9112 has clients send that know none, and `Connection: close`: the next check comes on a connection of
// its own, and what might follow on this one is not read. Only a check that is beyond doubt is touched. One with a
// body, with lines that servers read in more than one way, or with more than maxHealthHead bytes goes on as it came.

// maxHealthHead is how many bytes of a check are kept until its last line is there.
const maxHealthHead = 4 << 10

// added is what a check without a Host line is given.
const added = "Host:\r\nConnection: close\r\n"

// Read reads what the client sends.
func (c *conn) Read(p []byte) (int, error) {
	for c.fresh {
		n, err := c.Conn.Read(p[:min(len(p), maxHealthHead-len(c.unread))])
		if len(c.unread) == 0 {
			if at, decided := missingHost(p[:n]); decided && at < 0 {
				c.fresh = false
				return n, err //nolint:wrapcheck // it stands in for the connection
			}
		}
		c.unread = append(c.unread, p[:n]...)
		at, decided := missingHost(c.unread)
		if !decided && err == nil && len(c.unread) < maxHealthHead {
			continue
		}
		c.fresh = false
		if at >= 0 {
			c.unread = append(append(bytes.Clone(c.unread[:at]), added...), c.unread[at:]...)
		}
	}
	if len(c.unread) == 0 {
		return c.Conn.Read(p) //nolint:wrapcheck // it stands in for the connection
	}
	n := copy(p, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 {
		c.unread = nil
	}
	return n, nil
}

// missingHost is where the Host line of a health check is missing, -1 in everything else. It is decided as soon as the
// request cannot be such a check, or its last line is there.
func missingHost(head []byte) (at int, decided bool) {
	line, fields, whole := bytes.Cut(head, []byte("\r\n"))
	if !whole {
		return -1, !begins(line, "GET /") && !begins(line, "HEAD /") || bytes.IndexByte(line, '\n') >= 0
	}
	if !asksForHealth(string(line)) {
		return -1, true
	}
	at = len(line) + len("\r\n")
	for {
		line, fields, whole = bytes.Cut(fields, []byte("\r\n"))
		switch {
		case !whole:
			return -1, bytes.IndexByte(line, '\n') >= 0
		case len(line) == 0:
			return at, true
		case !harmless(string(line)):
			return -1, true
		}
	}
}

// begins reports whether a text that may go on begins with another.
func begins(text []byte, with string) bool {
	return strings.HasPrefix(string(text[:min(len(text), len(with))]), with[:min(len(text), len(with))])
}

func asksForHealth(line string) bool {
	method, rest, _ := strings.Cut(line, " ")
	target, proto, _ := strings.Cut(rest, " ")
	path, _, _ := strings.Cut(target, "?")
	return (method == http.MethodGet || method == http.MethodHead) && proto == "HTTP/1.1" && httpedge.IsHealthPath(path)
}

// harmless reports whether a header's line is one that all servers read alike, and neither a Host nor of a body.
func harmless(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return false
	}
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Upgrade":
		return false
	}
	return true
}
