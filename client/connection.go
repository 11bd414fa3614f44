package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/schemas"
)

const (
	// kindHello is the notifier's own first message, kindResume says where to go
	// on, to a client that it closes or that has heard nothing for long: neither is
	// an event of a task.
	kindHello  schemas.Kind = "hello"
	kindResume schemas.Kind = "resume"
	// protocolBatch packs several messages into one frame, each on a line. A
	// notifier that does not know it sends one message a frame.
	protocolBatch = "tasklane.v1.batch"
	// maxMessageBytes is a frame with an event of the largest size behind a full
	// batch of others.
	maxMessageBytes = schemas.MaxEventBytes + 1<<20
)

// message is what the notifier sends: an event with its cursor, or a hello.
type message struct {
	schemas.Event
	Cursor    string `json:"cursor"`
	Recovered bool   `json:"recovered,omitzero"`
}

// connection is one WebSocket. It is read by one goroutine; another, which it
// owns, pings.
type connection struct {
	ws      *websocket.Conn
	ctx     context.Context
	timing  timing
	opened  time.Time
	stop    func() bool
	done    chan struct{}
	pinging sync.WaitGroup
	batch   bool   // frames hold several messages
	rest    []byte // of the last frame
}

// dial opens a connection that ends with ctx.
func (c *Client) dial(ctx context.Context, request WatchRequest, since, token string) (*connection, error) {
	target := c.notifier.JoinPath("ws")
	query := url.Values{"since": {since}}
	for name, value := range map[string]string{"user_id": request.UserID, "task_id": request.TaskID,
		"batch_id": request.BatchID} {
		if value != "" {
			query.Set(name, value)
		}
	}
	target.RawQuery = query.Encode()
	header := make(http.Header)
	authorize(header, token)
	dialer := c.dialer
	dialer.HandshakeTimeout = c.patience()
	dialer.Subprotocols = []string{protocolBatch}
	ws, response, err := dialer.DialContext(ctx, target.String(), header)
	if response != nil {
		defer func() { _ = response.Body.Close() }()
	}
	if err != nil {
		return nil, refusedOrUnreachable(response, err)
	}
	conn := &connection{ws: ws, ctx: ctx, timing: c.timing, opened: time.Now(), done: make(chan struct{}),
		batch: ws.Subprotocol() == protocolBatch}
	conn.start()
	if token == "" {
		conn.sayNoToken()
	}
	return conn, nil
}

// sayNoToken says that no token will come. A notifier that wants one waits for it, and refuses at once who has none;
// to any other this says nothing.
func (c *connection) sayNoToken() {
	_ = c.ws.SetWriteDeadline(time.Now().Add(c.timing.ping))
	_ = c.ws.WriteMessage(websocket.TextMessage, []byte(`{"kind":"auth"}`)) // the read finds out
	_ = c.ws.SetWriteDeadline(time.Time{})
}

// newDialer takes over the settings of the HTTP client's transport. They are
// copied once, here: the transport itself changes its TLS settings during its
// first request, and Clone is what waits for that.
func newDialer(from http.RoundTripper) websocket.Dialer {
	transport, ok := from.(*http.Transport)
	if !ok || transport == nil {
		return websocket.Dialer{Proxy: http.ProxyFromEnvironment}
	}
	settings := transport.Clone()
	dialer := websocket.Dialer{
		Proxy: settings.Proxy, NetDialContext: settings.DialContext, TLSClientConfig: settings.TLSClientConfig,
	}
	if dialer.TLSClientConfig != nil {
		dialer.TLSClientConfig.NextProtos = nil // it may say h2, and a WebSocket needs HTTP/1.1
	}
	return dialer
}

func refusedOrUnreachable(response *http.Response, err error) error {
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols {
		return unreachable(err)
	}
	// The library has already read the beginning of the body into memory.
	body := make([]byte, 1024)
	n, _ := response.Body.Read(body)
	return refusal{newAPIError(response.StatusCode, body[:n]), retryAfter(response.Header, time.Now())}
}

func (c *connection) start() {
	c.ws.SetReadLimit(maxMessageBytes)
	// Any frame is a sign of life, and only a read takes notice of it.
	c.ws.SetPongHandler(func(string) error { return c.extend() })
	answerPing := c.ws.PingHandler()
	c.ws.SetPingHandler(func(data string) error {
		if err := c.extend(); err != nil {
			return err
		}
		return answerPing(data)
	})
	c.stop = context.AfterFunc(c.ctx, func() { _ = c.ws.Close() })
	c.pinging.Go(c.ping)
}

// ping keeps proxies from closing a quiet connection and makes a dead peer
// show: its pong does not come.
func (c *connection) ping() {
	ticker := time.NewTicker(c.timing.ping)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			deadline := time.Now().Add(c.timing.ping)
			if c.ws.WriteControl(websocket.PingMessage, nil, deadline) != nil {
				return // the read finds out
			}
		case <-c.done:
			return
		}
	}
}

func (c *connection) extend() error { return c.ws.SetReadDeadline(time.Now().Add(c.timing.silence)) }

// read gives the next message. Time that passed while nobody read does not
// count as silence.
func (c *connection) read() (*message, error) {
	data, err := c.line()
	if err != nil {
		return nil, err
	}
	m := new(message)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return m, nil
}

// line is the text of the next message.
func (c *connection) line() ([]byte, error) {
	for {
		line, rest, _ := bytes.Cut(c.rest, []byte{'\n'})
		if c.rest = rest; len(line) > 0 {
			return line, nil
		}
		if len(rest) > 0 {
			continue
		}
		if err := c.extend(); err != nil {
			return nil, unreachable(err)
		}
		_, data, err := c.ws.ReadMessage()
		if err != nil {
			return nil, closedBy(err)
		}
		if !c.batch {
			return data, nil
		}
		c.rest = data
	}
}

// closedBy tells a close that means "do not come back like this" from all the
// others. The notifier's own codes 4400 to 4499 are HTTP's 400 to 499.
func closedBy(err error) error {
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		return unreachable(err)
	}
	switch code := closed.Code; {
	case code >= 4400 && code < 4500:
		return &APIError{Status: code - 4000, Title: http.StatusText(code - 4000), Detail: closed.Text}
	case code == websocket.ClosePolicyViolation:
		return &APIError{Status: http.StatusForbidden, Title: http.StatusText(http.StatusForbidden), Detail: closed.Text}
	case code == websocket.CloseUnsupportedData, code == websocket.CloseInvalidFramePayloadData,
		code == websocket.CloseMessageTooBig:
		return &APIError{Status: http.StatusBadRequest, Title: http.StatusText(http.StatusBadRequest), Detail: closed.Text}
	}
	return unreachable(err)
}

// close ends the connection and what it owns.
func (c *connection) close() {
	c.stop()
	close(c.done)
	deadline := time.Now().Add(time.Second)
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
	_ = c.ws.Close()
	c.pinging.Wait()
}
