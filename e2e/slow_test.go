package e2e

import (
	"io"
	"net"
	"strings"
	"testing"
)

// Clients whose bodies never end keep no server from stopping in order, and
// nobody from submitting.
func TestStopWithSlowBodies(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	for range 10 {
		for address, line := range map[string]string{
			s.api: "POST /v1/tasks", s.api + "/": "GET /readyz", s.notifier: "GET /readyz",
			s.notifier + "/": "POST /socket.io/?EIO=4&transport=polling",
		} {
			_, address, _ = strings.Cut(address, "//")
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimSuffix(address, "/"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_, err = io.WriteString(conn,
				line+" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{")
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	newAPI(t, s.api).must(202, "POST", "/v1/tasks", newTask("fast", "ada", "slow-1", "echo", map[string]any{}))
	s.terminate()
}
