package client

import (
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
	// kindHello is the notifier's own first message, no event of a task.
	kindHello schemas.Kind = "hello"
	// maxMessageBytes is an event of the largest size with its cursor.
	maxMessageBytes = schemas.MaxEventBytes + 64<<10
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
}

// dial opens a connection that ends with ctx.
func (c *Client) dial(ctx context.Context, request WatchRequest, since string) (*connection, error) {
	target := c.notifier.JoinPath("ws")
	query := url.Values{"user_id": {request.UserID}, "since": {since}}
	if request.TaskID != "" {
		query.Set("task_id", request.TaskID)
	}
	target.RawQuery = query.Encode()
	header := make(http.Header)
	c.authorize(header)
	dialer := c.dialer
	dialer.HandshakeTimeout = c.patience()
	ws, response, err := dialer.DialContext(ctx, target.String(), header)
	if response != nil {
		defer func() { _ = response.Body.Close() }()
	}
	if err != nil {
		return nil, refusedOrUnreachable(response, err)
	}
	conn := &connection{ws: ws, ctx: ctx, timing: c.timing, opened: time.Now(), done: make(chan struct{})}
	conn.start()
	return conn, nil
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
	if err := c.extend(); err != nil {
		return nil, unreachable(err)
	}
	_, data, err := c.ws.ReadMessage()
	if err != nil {
		return nil, closedBy(err)
	}
	m := new(message)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return m, nil
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
	case code == websocket.CloseUnsupportedData, code == websocket.CloseInvalidFramePayloadData, code == websocket.CloseMessageTooBig:
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
