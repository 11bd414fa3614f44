package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"
)

const (
	batchProtocol = "tasklane.v1.batch"
	// silence ends a connection on which nothing comes, not even a ping.
	silence = 60 * time.Second
	// smallBuffer is the receive buffer of clients that may stop reading, so that
	// little fits between them and the notifier. A packet on the loopback has up
	// to 64 KiB: the kernel throws it away where the buffer is smaller, and a client
	// that reads gets hardly more than one that does not.
	smallBuffer = 64 << 10
	// maxMessage bounds a message or a frame of several, in bytes.
	maxMessage = 8 << 20
)

// stream is one connection of a client to a notifier.
type stream interface {
	// next gives the next messages in their order.
	next() ([][]byte, error)
	close()
}

// open makes a connection by a dialer.
type open func(ctx context.Context, by dial, address string, query url.Values) (stream, error)

// dial connects to an address.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// transports are the ways to watch, by name. They are written here, not taken
// from the SDK, so that both are tried.
func transports() map[string]open {
	return map[string]open{
		"ws": func(ctx context.Context, by dial, address string, q url.Values) (stream, error) {
			return openSocket(ctx, by, address, q)
		},
		"batch": func(ctx context.Context, by dial, address string, q url.Values) (stream, error) {
			return openSocket(ctx, by, address, q, batchProtocol)
		},
		"sse": openEvents,
	}
}

// smallDial connects with a small receive buffer.
func smallDial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		err = tcp.SetReadBuffer(smallBuffer)
	}
	return conn, err
}

// socket is a WebSocket.
type socket struct {
	conn  *websocket.Conn
	batch bool
	stop  func() bool
}

// errNoBatch says that the notifier has not agreed to the subprotocol.
var errNoBatch = errors.New("the notifier did not take the subprotocol " + batchProtocol)

func openSocket(ctx context.Context, by dial, address string, query url.Values, protocols ...string) (stream, error) {
	dialer := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: 30 * time.Second, NetDialContext: by}
	conn, response, err := dialer.DialContext(ctx, "ws://"+address+"/ws?"+query.Encode(), nil)
	if response != nil {
		defer func() { _ = response.Body.Close() }()
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", answered(response, err))
	}
	if len(protocols) > 0 && conn.Subprotocol() != protocols[0] {
		conn.Close()
		return nil, errNoBatch
	}
	conn.SetReadLimit(maxMessage)
	s := &socket{conn: conn, batch: len(protocols) > 0}
	ping := conn.PingHandler()
	conn.SetPingHandler(func(data string) error { s.alive(); return ping(data) })
	s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return s, nil
}

// alive gives the notifier time for another frame; an error is the next read's.
func (s *socket) alive() { _ = s.conn.SetReadDeadline(time.Now().Add(silence)) }

func (s *socket) next() ([][]byte, error) {
	s.alive()
	_, data, err := s.conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	if !s.batch {
		return [][]byte{data}, nil
	}
	return bytes.Split(bytes.TrimSuffix(data, []byte{'\n'}), []byte{'\n'}), nil
}

func (s *socket) close() {
	s.stop()
	_ = s.conn.Close()
}

// refusedError is a notifier's answer that is no connection.
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string { return fmt.Sprintf("answer %d: %s", e.status, e.text) }

// answered is the refusal in a response, or err if there is none.
func answered(response *http.Response, err error) error {
	if response == nil || response.StatusCode < 300 {
		return err
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
	return &refusedError{response.StatusCode, string(text)}
}

// events is a stream of server-sent events.
type events struct {
	body   io.ReadCloser
	lines  *bufio.Reader
	cancel context.CancelFunc
	client *http.Client
}

func openEvents(ctx context.Context, by dial, address string, query url.Values) (stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/sse?"+query.Encode(), nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("make request: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: by, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		err = answered(response, fmt.Errorf("status %d", response.StatusCode))
		_ = response.Body.Close()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &events{response.Body, bufio.NewReaderSize(response.Body, 4<<10), cancel, client}, nil
}

// next reads one event. Its id must be the cursor that its data carries.
func (e *events) next() ([][]byte, error) {
	var data []byte
	for {
		line, err := e.lines.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if rest, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimPrefix(rest, []byte(" "))...)
		}
		if len(line) == 0 && data != nil {
			return [][]byte{data}, nil
		}
	}
}

func (e *events) close() {
	e.cancel()
	_ = e.body.Close()
	e.client.CloseIdleConnections()
}
