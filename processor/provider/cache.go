package provider

import (
	"container/list"
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/config"
)

// cache keeps answers by their questions for tasks that ask for it, and lets one of several equal questions ask while
// the others wait for its answer. It is in memory, of this process, and nobody gets an answer of another user.
type cache struct {
	maxBytes int64
	maxTTL   time.Duration

	mu      sync.Mutex
	answers map[[32]byte]*list.Element
	order   *list.List // of *kept, the one used last first
	bytes   int64
	asking  map[[32]byte]chan struct{} // closed when the question is answered, or not
}

type kept struct {
	key    [32]byte
	result Result
	bytes  int64
	until  time.Time
}

const (
	defaultCacheBytes = 64 << 20
	defaultCacheTTL   = 24 * time.Hour
)

func newCache(c config.Cache) *cache {
	made := &cache{maxBytes: int64(c.MaxBytes), maxTTL: c.MaxTTL, answers: map[[32]byte]*list.Element{}, order: list.New(),
		asking: map[[32]byte]chan struct{}{}}
	if made.maxBytes <= 0 {
		made.maxBytes = defaultCacheBytes
	}
	if made.maxTTL <= 0 {
		made.maxTTL = defaultCacheTTL
	}
	return made
}

// keyFor is a question's name: the user, the models it may go to, and all of the request.
func keyFor(user string, route []target, r *Request) ([32]byte, error) {
	b, err := json.Marshal([]any{user, routeNames(route), r}, json.Deterministic(true))
	return sha256.Sum256(b), err
}

func routeNames(route []target) (names []string) {
	for _, t := range route {
		names = append(names, t.String())
	}
	return names
}

// get is an answer that is still good.
func (c *cache) get(key [32]byte, now time.Time) (Result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.answers[key]
	if at == nil {
		return Result{}, false
	}
	k := at.Value.(*kept)
	if !now.Before(k.until) {
		c.drop(at)
		return Result{}, false
	}
	c.order.MoveToFront(at)
	return k.result, true
}

func (c *cache) drop(at *list.Element) {
	k := c.order.Remove(at).(*kept)
	delete(c.answers, k.key)
	c.bytes -= k.bytes
}

// put keeps an answer. Those that were not used for longest go first.
func (c *cache) put(key [32]byte, r Result, ttl time.Duration, now time.Time) {
	const overhead = 512
	k := &kept{key: key, result: r, bytes: int64(len(r.Text)+len(r.Raw)) + overhead, until: now.Add(min(ttl, c.maxTTL))}
	k.result.Raw = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.bytes > c.maxBytes/4 {
		return
	}
	if at := c.answers[key]; at != nil {
		c.drop(at)
	}
	c.answers[key] = c.order.PushFront(k)
	for c.bytes += k.bytes; c.bytes > c.maxBytes; {
		c.drop(c.order.Back())
	}
}

// lead makes the caller the one that asks; done has to be called with the answer known or not. If another one asks, it
// waits for that one instead, and lead is false.
func (c *cache) lead(ctx context.Context, key [32]byte) (done func(), lead bool) {
	c.mu.Lock()
	asked, waits := c.asking[key]
	if !waits {
		asked = make(chan struct{})
		c.asking[key] = asked
	}
	c.mu.Unlock()
	if !waits {
		return func() {
			c.mu.Lock()
			delete(c.asking, key)
			c.mu.Unlock()
			close(asked)
		}, true
	}
	select {
	case <-asked:
	case <-ctx.Done():
	}
	return nil, false
}
