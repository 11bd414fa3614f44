package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"
)

// centrifugeServer is a node with a channel for each user, to which the server
// subscribes the client when it connects. There is no history, which is the
// fastest the library can be: its clients could not resume.
type centrifugeServer struct {
	at   string
	stop func()
	node *centrifuge.Node
}

func startCentrifuge(ctx context.Context) (*centrifugeServer, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, fmt.Errorf("make node: %w", err)
	}
	node.OnConnecting(func(ctx context.Context, _ centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		user := userOf(ctx)
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{UserID: user},
			Subscriptions: map[string]centrifuge.SubscribeOptions{user: {}},
		}, nil
	})
	if err := node.Run(); err != nil {
		return nil, fmt.Errorf("run node: %w", err)
	}
	handler := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		ReadBufferSize: 512, UseWriteBufferPool: true, WriteTimeout: 10 * time.Second,
	})
	s := &centrifugeServer{node: node}
	s.at, s.stop, err = listen(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		named := context.WithValue(r.Context(), userKey{}, r.URL.Query().Get("user_id"))
		handler.ServeHTTP(w, r.WithContext(named))
	}))
	return s, err
}

type userKey struct{}

func userOf(ctx context.Context) string {
	user, _ := ctx.Value(userKey{}).(string)
	return user
}

func (s *centrifugeServer) addr() string { return s.at }

func (s *centrifugeServer) publish(_ context.Context, user int, event []byte) error {
	_, err := s.node.Publish(userName(user), event)
	return err
}

func (s *centrifugeServer) close() {
	_ = s.node.Shutdown(context.Background()) // the process ends next
	s.stop()
}
