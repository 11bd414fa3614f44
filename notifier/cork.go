package notifier

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"sync"
)

// corkedConn gathers the frames of one wake-up into one write: the WebSocket
// library writes each frame by itself, and the system call costs more than the
// frame. The buffer is borrowed only while frames are gathered.
type corkedConn struct {
	net.Conn
	pool *sync.Pool // of *bytes.Buffer

	mu  sync.Mutex
	buf *bytes.Buffer // nil while not corked
}

// cork begins to gather.
func (c *corkedConn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		c.buf = c.pool.Get().(*bytes.Buffer)
	}
}

// uncork writes what was gathered. The write deadline that was set last holds.
func (c *corkedConn) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		return nil
	}
	err := c.flush()
	if c.buf.Cap() <= 2*takeBytes {
		c.pool.Put(c.buf)
	}
	c.buf = nil
	return err
}

// Write gathers b while corked. Control frames of other goroutines come through
// here too, in their order.
func (c *corkedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		return c.Conn.Write(b)
	}
	if c.buf.Len()+len(b) > takeBytes {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(b) > takeBytes {
		return c.Conn.Write(b)
	}
	return c.buf.Write(b)
}

func (c *corkedConn) flush() error {
	if c.buf.Len() == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.buf.Bytes())
	c.buf.Reset()
	return err
}

// corkingWriter hands a corkedConn to whoever takes the connection over.
type corkingWriter struct {
	http.ResponseWriter
	pool *sync.Pool
	conn *corkedConn // set by Hijack
}

// Hijack takes the connection over from the HTTP server.
func (w *corkingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn = &corkedConn{Conn: conn, pool: w.pool}
	return w.conn, rw, nil
}
