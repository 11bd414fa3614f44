package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// gorilla is what one writes by hand in an hour: a goroutine that reads and one
// that writes each connection, a channel between, one frame a message.
type gorilla struct {
	at       string
	stop     func()
	upgrader websocket.Upgrader

	mu    sync.RWMutex
	users map[string][]chan []byte
}

// gorillaQueue is how many messages wait for a client.
const gorillaQueue = 512

func startGorilla(ctx context.Context) (*gorilla, error) {
	g := &gorilla{users: make(map[string][]chan []byte), upgrader: websocket.Upgrader{WriteBufferPool: new(sync.Pool)}}
	var err error
	g.at, g.stop, err = listen(ctx, http.HandlerFunc(g.serve))
	return g, err
}

func (g *gorilla) addr() string { return g.at }

func (g *gorilla) close() { g.stop() }

func (g *gorilla) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := g.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	out := make(chan []byte, gorillaQueue)
	user := r.URL.Query().Get("user_id")
	g.mu.Lock()
	g.users[user] = append(g.users[user], out)
	g.mu.Unlock()
	out <- []byte(`{"kind":"hello"}`)
	go func() {
		defer conn.Close()
		for message := range out {
			_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if conn.WriteMessage(websocket.TextMessage, message) != nil {
				return
			}
		}
	}()
	go func() {
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
}

var errSlow = errors.New("a client's queue is full")

func (g *gorilla) publish(_ context.Context, user int, event []byte) error {
	return g.send(userName(user), event)
}

func (g *gorilla) send(user string, event []byte) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, out := range g.users[user] {
		select {
		case out <- event:
		default:
			return errSlow
		}
	}
	return nil
}
