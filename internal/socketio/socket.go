package socketio

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/engineio"
)

// Socket is a client in one namespace. Its methods may be called by several goroutines.
type Socket struct {
	conn      *engineio.Conn
	namespace string
	id        string
}

func newSocket(conn *engineio.Conn, namespace string) *Socket {
	return &Socket{conn: conn, namespace: namespace, id: rand.Text()}
}

// ID is what the client knows itself by in the namespace. It is no secret.
func (s *Socket) ID() string { return s.id }

// Namespace is the name with its slash.
func (s *Socket) Namespace() string { return s.namespace }

// Conn is the connection under the socket, which it shares with those in other namespaces.
func (s *Socket) Conn() *engineio.Conn { return s.conn }

// Emit sends an event.
func (s *Socket) Emit(ctx context.Context, name string, args ...jsontext.Value) error {
	return s.Send(ctx, Packet{Type: Event, ID: NoID, Data: appendArray(nil, name, args)})
}

// Reply acknowledges an event, if the client asked for that.
func (s *Socket) Reply(ctx context.Context, e Received, args ...jsontext.Value) error {
	if e.ID == NoID {
		return nil
	}
	return s.Send(ctx, Packet{Type: Ack, ID: e.ID, Data: appendArgs(nil, args)})
}

// Send sends a packet in the socket's namespace.
func (s *Socket) Send(ctx context.Context, p Packet) error {
	p.Namespace = s.namespace
	return s.conn.Send(ctx, p.messages()...)
}

// Received is an event of a client. In Args each attachment is a placeholder with its number, which may be one that is
// not there.
type Received struct {
	Name        string
	Args        []jsontext.Value
	Attachments [][]byte
	// ID is what an acknowledgement has to carry, NoID if none is asked for.
	ID int64
}

// RefusalError is an error that a client gets as its connect_error.
type RefusalError struct {
	Message string
	// Data is more for programs, nil for none.
	Data jsontext.Value
}

// Error is the message.
func (r *RefusalError) Error() string { return r.Message }

// UnknownNamespace refuses a namespace as the reference server does.
func UnknownNamespace() *RefusalError { return &RefusalError{Message: "Invalid namespace"} }

// refusal is the packet that refuses.
func refusal(err error) Packet {
	given := &RefusalError{Message: "internal error"}
	_ = errors.As(err, &given)
	data, err := json.Marshal(struct {
		Message string         `json:"message"`
		Data    jsontext.Value `json:"data,omitempty"`
	}{given.Message, given.Data})
	if err != nil { // text that is not UTF-8, or no JSON
		data = []byte(`{"message":"refused"}`)
	}
	return Packet{Type: ConnectError, ID: NoID, Data: data}
}
