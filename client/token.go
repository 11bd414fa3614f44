package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// tokens keeps the bearer token of a client. It is safe for concurrent use.
type tokens struct {
	source func(context.Context) (string, error) // nil for a token that stays
	// turn has room for one: who holds it may ask the source. A mutex would let
	// the others wait beyond their contexts.
	turn    chan struct{}
	current string // guarded by turn
}

func newTokens(fixed string, source func(context.Context) (string, error)) *tokens {
	return &tokens{source: source, turn: make(chan struct{}, 1), current: fixed}
}

// get is the token to use, "" for none. It is a new one if the present one is
// the one that was refused.
func (t *tokens) get(ctx context.Context, refused string) (string, error) {
	if t.source == nil {
		return t.current, nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { <-t.turn }()
	if t.current != "" && t.current != refused {
		return t.current, nil
	}
	token, err := t.source(ctx)
	if err != nil {
		return "", fmt.Errorf("get token: %w", err)
	}
	t.current = token
	return token, nil
}

// none reports whether requests carry no token.
func (t *tokens) none() bool { return t.source == nil && t.current == "" }

// renewable reports whether the call should be tried again at once with another
// token: the server refused this one, and it is the first that it did since its
// last answer.
func (t *tokens) renewable(r *retry, token string, err error) bool {
	var refused *APIError
	if t.source == nil || r.refused != "" || token == "" || !errors.As(err, &refused) ||
		refused.Status != http.StatusUnauthorized {
		return false
	}
	r.refused = token
	return true
}

func authorize(header http.Header, token string) {
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
}
