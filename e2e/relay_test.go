//go:build clients

package e2e

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// relay passes connections on to a server, and has outages.
type relay struct {
	address, server string

	mu    sync.Mutex
	out   bool
	conns map[*relayed]bool
}

// relayed is one connection, and what its client asked for first.
type relayed struct {
	client, server net.Conn
	path           string
}

// newRelay listens at an address of its own until the test ends.
func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: listener.Addr().String(), server: server, conns: map[*relayed]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.pass(client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		r.begin()
		all.Wait()
	})
	return r
}

// pass copies both ways until one side ends.
func (r *relay) pass(client net.Conn) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", r.server, 5*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	c := &relayed{client: client, server: server}
	r.mu.Lock()
	if r.out {
		r.mu.Unlock()
		return
	}
	r.conns[c] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.conns, c)
		r.mu.Unlock()
	}()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server) // either may end at any time
		client.Close()
	})
	first := make([]byte, 4096)
	n, err := client.Read(first)
	if err == nil {
		request, _, _ := bytes.Cut(first[:n], []byte("?"))
		r.mu.Lock()
		c.path = string(bytes.TrimPrefix(request, []byte("GET ")))
		r.mu.Unlock()
		if _, err = server.Write(first[:n]); err == nil {
			_, _ = io.Copy(server, client)
		}
	}
	server.Close()
	back.Wait()
}

// begin begins an outage: all connections break, and new ones do at once.
func (r *relay) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = true
	for c := range r.conns {
		c.client.Close()
		c.server.Close()
	}
}

// over ends the outage.
func (r *relay) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = false
}

// paths are what the clients that are connected asked for.
func (r *relay) paths() (paths []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		paths = append(paths, c.path)
	}
	return paths
}
