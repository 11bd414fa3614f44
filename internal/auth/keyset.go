package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// How keys are fetched. Whatever callers send, there is at most one fetch in
// keyGap.
const (
	keyInterval  = 5 * time.Minute
	keyRetry     = 15 * time.Second
	keyGap       = 5 * time.Second
	fetchTimeout = 5 * time.Second
	maxSetBytes  = 1 << 20
	// askTimeout is how long a caller waits for a key, and maxAsking how many do
	// at a time.
	askTimeout = 8 * time.Second
	maxAsking  = 256
)

// fetcher gets a set of keys.
type fetcher func(context.Context) ([]byte, error)

// keySet is the published keys of one issuer. One goroutine fetches; callers
// that ask for a key that is not there wait for the next fetch.
type keySet struct {
	fetch fetcher
	log   *slog.Logger
	// ready is closed after the first fetch that succeeds; wanted, with room for
	// one signal, asks for another one early.
	ready  chan struct{}
	wanted chan struct{}

	mu      sync.Mutex
	keys    map[keyName]key
	fetched time.Time // the last time it succeeded
	// next is the fetch that has not begun; asking is how many wait for one.
	next         *round
	asking       int
	good, failed int
}

// round is one fetch.
type round struct {
	done chan struct{}
	ok   bool // once done is closed
}

func newRound() *round { return &round{done: make(chan struct{})} }

func newKeySet(fetch fetcher, log *slog.Logger) *keySet {
	return &keySet{fetch: fetch, log: log, ready: make(chan struct{}), wanted: make(chan struct{}, 1), next: newRound()}
}

// find looks the key up. An unknown one is decided by a fetch that begins after
// it was asked for, so that a key that is just being introduced is found.
func (s *keySet) find(ctx context.Context, alg algorithm, id string) ([]key, *RefusalError) {
	if id == "" {
		return nil, &RefusalError{Reason: NoKeyID}
	}
	name := keyName{alg, id}
	found, wait, refused := s.lookup(name)
	if wait == nil {
		return found, refused
	}
	defer s.leave()
	signal(s.wanted)
	timer := time.NewTimer(askTimeout)
	defer timer.Stop()
	select {
	case <-wait.done:
	case <-timer.C:
		return nil, &RefusalError{Reason: KeysMissing}
	case <-ctx.Done():
		return nil, &RefusalError{Reason: KeysMissing}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[name]
	switch {
	case ok:
		return []key{k}, nil
	case !wait.ok:
		return nil, &RefusalError{Reason: KeysMissing}
	}
	return nil, &RefusalError{Reason: UnknownKey}
}

// lookup finds the key, or the fetch to wait for; then the caller must leave.
func (s *keySet) lookup(name keyName) ([]key, *round, *RefusalError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[name]; ok {
		return []key{k}, nil, nil
	}
	if s.asking >= maxAsking {
		return nil, nil, &RefusalError{Reason: KeysWaiting}
	}
	s.asking++
	return nil, s.next, nil
}

func (s *keySet) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking--
}

// run fetches until the context ends.
func (s *keySet) run(ctx context.Context) {
	for {
		pause := keyInterval
		if !s.refresh(ctx) {
			pause = keyRetry
		}
		if !s.wait(ctx, pause) {
			return
		}
	}
}

// refresh is one fetch.
func (s *keySet) refresh(ctx context.Context) bool {
	s.mu.Lock()
	current := s.next
	s.next = newRound()
	s.mu.Unlock()
	drain(s.wanted) // who asked until now waits for this one
	set, err := s.read(ctx)
	s.mu.Lock()
	if err == nil {
		if s.keys == nil {
			close(s.ready)
		}
		s.keys, s.fetched, current.ok = set, time.Now(), true
		s.good++
	} else if ctx.Err() == nil {
		s.failed++
	}
	s.mu.Unlock()
	close(current.done)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("keys of the tokens' issuer cannot be fetched; the last ones stay in use", "error", err)
	}
	return err == nil
}

func (s *keySet) read(ctx context.Context) (map[keyName]key, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	data, err := s.fetch(ctx)
	if err != nil {
		return nil, err
	}
	set, skipped, err := parseSet(data)
	for _, reason := range skipped {
		s.log.Debug("a key of the tokens' issuer is not used", "reason", reason)
	}
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return set, nil
}

// wait waits for the time of the next fetch, or for somebody who wants one; in
// no case for less than keyGap. False if the context ended.
func (s *keySet) wait(ctx context.Context, pause time.Duration) bool {
	gap := time.NewTimer(keyGap)
	defer gap.Stop()
	select {
	case <-gap.C:
	case <-ctx.Done():
		return false
	}
	rest := time.NewTimer(pause - keyGap)
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-s.wanted:
	case <-ctx.Done():
		return false
	}
	return true
}

func (s *keySet) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

// age is how old the keys are, 0 if there are none.
func (s *keySet) age(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		return 0
	}
	return now.Sub(s.fetched)
}

func (s *keySet) fetches(failed bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed {
		return s.failed
	}
	return s.good
}

// fetchFrom fetches from one URL and nowhere else: a redirect is an error.
func fetchFrom(url string) fetcher {
	client := &http.Client{
		// One request in minutes needs no connection in between.
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
			MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a redirect is not followed") },
	}
	return func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, fmt.Errorf("fetch keys: %w", err)
		}
		request.Header.Set("Accept", "application/jwk-set+json, application/json")
		response, err := client.Do(request)
		if err != nil {
			return nil, fmt.Errorf("fetch keys: %w", err)
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("fetch keys: status %d", response.StatusCode)
		}
		data, err := io.ReadAll(io.LimitReader(response.Body, maxSetBytes+1))
		switch {
		case err != nil:
			return nil, fmt.Errorf("fetch keys: %w", err)
		case len(data) > maxSetBytes:
			return nil, fmt.Errorf("fetch keys: more than %d bytes", maxSetBytes)
		}
		return data, nil
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func drain(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}
