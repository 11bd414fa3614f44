package socketio

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/engineio"
)

// Config is what a server needs.
type Config struct {
	// Engine is the transport's configuration; Accept is overwritten.
	Engine engineio.Config
	// Open is asked about each connection before its handshake is answered. An error refuses it, as that of
	// [engineio.Config] Accept does. The request must not be kept.
	Open func(*engineio.Conn, *http.Request) (Client, error)
	// ConnectTimeout is how long a client has to connect to a namespace (10 s).
	ConnectTimeout time.Duration
}

// Client is the application's side of one connection. Its methods are called one at a time.
type Client interface {
	// Connect is asked whether the client may use the socket's namespace; an error refuses it, for good unless it is
	// [ErrLater]. Auth is what the client gave, nil if nothing.
	Connect(s *Socket, auth jsontext.Value) error
	// Connected follows once the client has been told that it may.
	Connected(s *Socket) error
	// Event takes what the client emits. An error, here and in Connected, ends the connection.
	Event(s *Socket, e Received) error
	// Left says that the client has left the namespace and goes on otherwise.
	Left(s *Socket)
	// Closed comes last and says why the connection ended.
	Closed(why error)
}

// Reasons to end a connection.
var (
	// ErrNoConnect is for a client that connects to no namespace in time.
	ErrNoConnect = errors.New("no namespace was connected to in time")
	// ErrState is for a packet that does not fit what went before.
	ErrState = errors.New("the packet is out of place")
	// ErrLater is for a client that should come back: clients do by themselves when the connection ends, and never
	// after a connect_error.
	ErrLater = errors.New("try again later")
)

// New is a server for Socket.IO clients. It panics without an Open.
func New(cfg Config) *engineio.Server {
	if cfg.Open == nil {
		panic("socketio: Config.Open is not set")
	}
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	engine := cfg.Engine
	most := engine.MaxPayload
	if most <= 0 {
		most = engineio.DefaultMaxPayload
	}
	engine.Accept = func(conn *engineio.Conn, r *http.Request) (engineio.Listener, error) {
		client, err := cfg.Open(conn, r)
		if err != nil {
			return nil, err
		}
		d := &dialogue{conn: conn, client: client, sockets: make(map[string]*Socket), most: most}
		d.timer = time.AfterFunc(cfg.ConnectTimeout, func() { conn.End(0, closePolicy, ErrNoConnect) })
		return d, nil
	}
	return engineio.New(engine)
}

// dialogue is the protocol with one client. It is confined to the calls of its connection.
type dialogue struct {
	conn    *engineio.Conn
	client  Client
	sockets map[string]*Socket
	timer   *time.Timer // until the first namespace

	// partial is a packet that waits for attachments, missing how many.
	partial *Packet
	missing int
	// bytes is the size of the partial packet so far, most what it may become.
	bytes, most int
}

// Close codes of a WebSocket: for who does not keep to the rules, and who should come back.
const (
	closePolicy   = 1008
	closeTryLater = 1013
)

// Message takes one message of the client.
func (d *dialogue) Message(m engineio.Message) error {
	if m.Binary {
		return d.attach(m.Data)
	}
	if d.partial != nil {
		return fmt.Errorf("%w: text instead of an attachment", ErrState)
	}
	p, attachments, err := Parse(m.Data)
	if err != nil {
		return err
	}
	if attachments > 0 {
		d.partial, d.missing, d.bytes = &p, attachments, len(m.Data)
		return nil
	}
	return d.handle(p)
}

func (d *dialogue) attach(data []byte) error {
	if d.partial == nil {
		return fmt.Errorf("%w: bytes that are no attachment", ErrState)
	}
	if d.bytes += len(data); d.bytes > d.most {
		return fmt.Errorf("%w: a packet and its attachments may have %d bytes together", engineio.ErrTooBig, d.most)
	}
	d.partial.Attachments = append(d.partial.Attachments, data)
	if len(d.partial.Attachments) < d.missing {
		return nil
	}
	p := *d.partial
	d.partial = nil
	return d.handle(p)
}

func (d *dialogue) handle(p Packet) error {
	if p.Type == Connect {
		return d.connect(p)
	}
	s := d.sockets[p.Namespace]
	if s == nil {
		return fmt.Errorf("%w: the client is not connected to that namespace", ErrState)
	}
	switch p.Type {
	case Disconnect:
		delete(d.sockets, p.Namespace)
		d.client.Left(s)
		return nil
	case Event, BinaryEvent:
		name, args, err := p.event()
		if err != nil {
			return err
		}
		return d.client.Event(s, Received{Name: name, Args: args, Attachments: p.Attachments, ID: p.ID})
	case Ack, BinaryAck:
		return nil // of nothing that was asked for
	}
	return fmt.Errorf("%w: a client must not refuse a connection", ErrState)
}

func (d *dialogue) connect(p Packet) error {
	if d.sockets[p.Namespace] != nil {
		return fmt.Errorf("%w: the client is connected to that namespace", ErrState)
	}
	s := newSocket(d.conn, p.Namespace)
	ctx := d.conn.Context()
	if err := d.client.Connect(s, p.Data); errors.Is(err, ErrLater) {
		d.conn.End(0, closeTryLater, err)
		return err
	} else if err != nil {
		return s.Send(ctx, refusal(err))
	}
	d.timer.Stop()
	d.sockets[p.Namespace] = s
	if err := s.Send(ctx, welcome(s)); err != nil {
		return err
	}
	return d.client.Connected(s)
}

// welcome is the packet that accepts.
func welcome(s *Socket) Packet {
	data, err := json.Marshal(struct {
		SID string `json:"sid"`
	}{s.id})
	if err != nil {
		panic("socketio: " + err.Error()) // letters and digits always encode
	}
	return Packet{Type: Connect, ID: NoID, Data: data}
}

// Closed says that the connection is over.
func (d *dialogue) Closed(why error) {
	d.timer.Stop()
	d.client.Closed(why)
}

// Disconnect tells the client that it has to leave: clients do not come back from this by themselves, as they do when
// the connection ends.
func (s *Socket) Disconnect(ctx context.Context) error {
	return s.Send(ctx, Packet{Type: Disconnect, ID: NoID})
}
