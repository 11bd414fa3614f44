package taskview

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Queries of each kind have connections of their own, so that no search or list is
// ever in the way of a look-up by id: there are as many as may run at once.
const (
	lookupConns = 4
	listConns   = 2
	searchConns = 1
)

// Bounds of the queries under way, running and waiting for a connection.
const (
	maxLists          = 128
	maxListsOfUser    = 32
	maxSearches       = 32
	maxSearchesOfUser = 4
)

// SearchTimeout is how long a search may take, with its turn to wait for.
const SearchTimeout = 3 * time.Second

// ErrTooMany says that the user has too many queries of this kind under way.
var ErrTooMany = errors.New("too many queries of this user at once")

// ErrSlow says that the search took too long. Narrow it.
var ErrSlow = errors.New("the search took too long")

// limiter bounds the queries of a kind, in all and of each user. Lists and searches
// that name no user are one user's.
type limiter struct {
	kind       string
	all, share int

	mu     sync.Mutex
	inside int
	byUser map[string]int
}

func newLimiter(kind string, all, share int) *limiter {
	return &limiter{kind: kind, all: all, share: share, byUser: map[string]int{}}
}

// enter takes a place, and leave gives it back. It fails with ErrTooMany or, if
// all users together are too many, with ErrBusy.
func (l *limiter) enter(user string) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.byUser[user] >= l.share:
		return nil, fmt.Errorf("%w: %d %s", ErrTooMany, l.share, l.kind)
	case l.inside >= l.all:
		return nil, fmt.Errorf("%w: %d %s", ErrBusy, l.all, l.kind)
	}
	l.inside++
	l.byUser[user]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.inside--
		if l.byUser[user]--; l.byUser[user] == 0 {
			delete(l.byUser, user)
		}
	}, nil
}

// asked runs a list or a search within its bounds.
func (v *View) asked(ctx context.Context, f Filter, query func(context.Context) error) error {
	limit, search := v.lists, f.Query != ""
	if search {
		limit = v.searches
	}
	leave, err := limit.enter(f.UserID)
	if err != nil {
		return err
	}
	defer leave()
	if !search {
		return query(ctx)
	}
	limited, cancel := context.WithTimeoutCause(ctx, SearchTimeout, ErrSlow)
	defer cancel()
	err = query(limited)
	if err != nil && errors.Is(context.Cause(limited), ErrSlow) {
		return fmt.Errorf("%w: more than %s; name a user, a status or rarer words", ErrSlow, SearchTimeout)
	}
	return err
}
