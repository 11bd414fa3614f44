package engineio

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/query"
)

// Server answers the requests of Engine.IO clients, as an [http.Handler] on any path. Make one with [New], and call
// [Server.Close] when no more is to be served.
type Server struct {
	cfg      Config
	upgrader websocket.Upgrader

	mu     sync.Mutex
	closed bool
	conns  map[string]*Conn
	// places counts connections, also those that are being accepted.
	places int
	// group is the connections and their goroutines; it does not grow once closed is set.
	group sync.WaitGroup
}

// New is a server that has no connections yet. It panics without an Accept.
func New(cfg Config) *Server {
	if cfg.Accept == nil {
		panic("engineio: Config.Accept is not set")
	}
	cfg = cfg.withDefaults()
	return &Server{
		cfg: cfg, conns: make(map[string]*Conn),
		upgrader: websocket.Upgrader{
			HandshakeTimeout: cfg.WriteTimeout, ReadBufferSize: readBuffer, WriteBufferPool: new(sync.Pool),
			CheckOrigin: cfg.CheckOrigin, Error: handshakeError,
		},
	}
}

// Count is how many clients are connected by a transport.
func (s *Server) Count(by Transport) int {
	count := 0
	for _, c := range s.all() {
		if c.Transport() == by {
			count++
		}
	}
	return count
}

func (s *Server) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Close ends all connections, each with the time given to take what was sent, and returns when every goroutine of
// theirs has ended. Requests are refused from here on.
func (s *Server) Close(linger time.Duration) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.all() {
		c.End(linger, closeGoingAway, ErrShutdown)
	}
	s.group.Wait()
}

// spawn runs f on a goroutine that Close waits for; not once that has begun.
func (s *Server) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.group.Go(f)
	return true
}

// ServeHTTP answers one request. Once a WebSocket is open it returns; the connection has its own goroutines and holds
// on to nothing of the request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if refused := s.serve(w, r); refused != nil {
		s.cfg.Refused(refused)
		refused.write(w)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) *RefusalError {
	// Clients may add parameters of their own. Those of the protocol have its refusals, also when they are empty.
	said, err := query.ParseOpen(r.URL.RawQuery, s.cfg.Query...)
	if err != nil {
		return wrongQuery(err)
	}
	transport := Transport(said.Get("transport"))
	switch {
	case transport != Polling && transport != WebSocket:
		return refuse(codeTransport, "Transport unknown", "The transport must be polling or websocket.")
	case said.Get("EIO") != "4":
		return refuse(codeVersion, "Unsupported protocol version", "EIO must be 4: Socket.IO clients of version 3 and newer.")
	case said.Has("j"):
		return badRequest("JSONP is not supported; any browser of today can do without.")
	case transport == WebSocket && !websocket.IsWebSocketUpgrade(r):
		return badRequest("This transport begins with the handshake of a WebSocket.")
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8") // what a GET would take or begin is not for it
		return nil
	}
	if !said.Has("sid") {
		if r.Method != http.MethodGet {
			return refuse(codeMethod, "Bad handshake method", "A connection begins with a GET.")
		}
		return s.handshake(w, r, transport)
	}
	c := s.find(said.Get("sid"))
	switch {
	case c == nil:
		return unknownSession()
	case transport == WebSocket:
		s.serveUpgrade(c, w, r)
		return nil
	}
	switch r.Method {
	case http.MethodGet:
		return c.servePoll(w, r)
	case http.MethodPost:
		return c.servePost(w, r)
	}
	return badRequest("Use GET to receive and POST to send.")
}

func (s *Server) find(id string) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[id]
}

// handshake opens a connection.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request, transport Transport) *RefusalError {
	if refused := s.enter(); refused != nil {
		return refused
	}
	c := s.newConn(transport)
	if err := c.accept(r); err != nil {
		c.over(closeNormal, err, kindNone)
		return refusalOf(err)
	}
	if !s.register(c) {
		c.over(closeGoingAway, ErrShutdown, kindNone)
		return shuttingDown()
	}
	if transport == WebSocket {
		s.openSocket(c, w, r)
		return nil
	}
	if writePolled(w, s.cfg.WriteTimeout, c.greeting().appendPart(nil)) != nil {
		c.over(closeNormal, ErrGone, kindNone)
	}
	return nil
}

// enter takes a place for a connection; leave gives it back.
func (s *Server) enter() *RefusalError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return shuttingDown()
	}
	if s.places >= s.cfg.MaxSessions {
		return &RefusalError{Status: http.StatusServiceUnavailable, Title: "too many connections", RetryAfter: 5,
			code:   codeBadRequest,
			Detail: "All places of this instance are taken. Try again later."}
	}
	s.places++
	s.group.Add(1)
	return nil
}

func (s *Server) leave(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c.id)
	s.places--
	s.mu.Unlock()
	s.group.Done()
}

func shuttingDown() *RefusalError {
	return &RefusalError{Status: http.StatusServiceUnavailable, Title: "not available now", RetryAfter: 1,
		code:   codeBadRequest,
		Detail: "The server is stopping. Connect again."}
}

func (s *Server) newConn(transport Transport) *Conn {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := &Conn{
		id: rand.Text(), server: s, ctx: ctx, cancel: cancel, transport: transport,
		room: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	c.timer = time.AfterFunc(s.cfg.PingInterval, c.beat)
	return c
}

// register makes the connection known. It fails once the server closes.
func (s *Server) register(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[c.id] = c
	}
	return !s.closed
}

// accept asks the application. The listener hears nothing meanwhile, not even that the connection has ended.
func (c *Conn) accept(r *http.Request) (err error) {
	c.delivering.Lock()
	defer c.delivering.Unlock()
	c.listener, err = c.server.cfg.Accept(c, r)
	return err
}

// greeting is the packet that opens a connection.
func (c *Conn) greeting() packet {
	cfg := c.server.cfg
	upgrades := []Transport{}
	if c.Transport() == Polling {
		upgrades = append(upgrades, WebSocket)
	}
	data, err := json.Marshal(struct {
		SID          string      `json:"sid"`
		Upgrades     []Transport `json:"upgrades"`
		PingInterval int64       `json:"pingInterval"`
		PingTimeout  int64       `json:"pingTimeout"`
		MaxPayload   int         `json:"maxPayload"`
	}{c.id, upgrades, cfg.PingInterval.Milliseconds(), cfg.PingTimeout.Milliseconds(), cfg.MaxPayload})
	if err != nil {
		panic("engineio: " + err.Error()) // strings and numbers always encode
	}
	return packet{kind: kindOpen, data: data}
}
