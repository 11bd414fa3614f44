package batches

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/internal/artifact"
)

// Book keeps what is known of batches. Make one with NewBook.
type Book struct{ store *artifact.Store }

// NewBook makes a book on a store.
func NewBook(store *artifact.Store) *Book { return &Book{store: store} }

func (b *Book) facts(user string) *artifact.Records { return b.store.Records("batches", user) }

// open are the batches of all users that have not ended.
func (b *Book) open() *artifact.Records { return b.store.Records("open-batches", artifact.Everybody) }

// claim is who drives a batch, until when.
type claim struct {
	User  string `json:"user"`
	By    string `json:"by"`
	Until int64  `json:"until"`
}

func (b *Book) claim(ctx context.Context, batch *Batch, by string, until time.Time) error {
	text, err := json.Marshal(claim{User: batch.User, By: by, Until: until.UnixMilli()})
	if err != nil {
		return fmt.Errorf("encode claim: %w", err)
	}
	return b.open().Put(ctx, batch.ID, text, batch.until()) //nolint:wrapcheck // the caller compares it
}

func (b *Book) claimOf(ctx context.Context, id string) (c claim, _ error) {
	text, err := b.open().Get(ctx, id)
	if err != nil {
		return claim{}, err //nolint:wrapcheck // the caller compares it
	}
	return c, json.Unmarshal(text, &c)
}

// Create notes a batch that was asked for, under a new id.
func (b *Book) Create(ctx context.Context, batch Batch) (*State, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make id: %w", err)
	}
	batch.ID, batch.CreatedAt = Prefix+hex.EncodeToString(id[:]), time.Now().Unix()
	if err := b.claim(ctx, &batch, "", time.Time{}); err != nil {
		return nil, err
	}
	return &State{Batch: batch}, b.note(ctx, &batch, factCreated, batch)
}

// note writes a fact of a batch.
func (b *Book) note(ctx context.Context, batch *Batch, fact string, content any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode fact: %w", err)
	}
	return b.facts(batch.User).Put(ctx, batch.ID+"/"+fact, text, batch.until()) //nolint:wrapcheck // see claim
}

// read reads a fact of a batch; false if there is none.
func (b *Book) read(ctx context.Context, user, id, fact string, into any) (bool, error) {
	text, err := b.facts(user).Get(ctx, id+"/"+fact)
	if errors.Is(err, artifact.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err //nolint:wrapcheck // the caller compares it
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("%w: %w", artifact.ErrDamaged, err)
	}
	return true, nil
}

// factOf reads a fact, nil if there is none.
func factOf[T any](ctx context.Context, b *Book, batch *Batch, fact string) (*T, error) {
	into := new(T)
	if there, err := b.read(ctx, batch.User, batch.ID, fact, into); err != nil || !there {
		return nil, err
	}
	return into, nil
}

// Get is a user's batch. The error is [artifact.ErrNotFound] if the user has none with this id.
func (b *Book) Get(ctx context.Context, user, id string) (*State, error) {
	s := new(State)
	if !strings.HasPrefix(id, Prefix) || strings.Contains(id, "/") {
		return nil, artifact.ErrNotFound
	}
	there, err := b.read(ctx, user, id, factCreated, &s.Batch)
	if err == nil && !there {
		err = artifact.ErrNotFound
	}
	if err == nil {
		s.validated, err = factOf[validated](ctx, b, &s.Batch, factValidated)
	}
	if err == nil {
		s.cancelled, err = factOf[moment](ctx, b, &s.Batch, factCancelled)
	}
	if err == nil {
		s.finalizing, err = factOf[moment](ctx, b, &s.Batch, factFinalizing)
	}
	if err == nil {
		s.ended, err = factOf[ended](ctx, b, &s.Batch, factEnded)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// List are a user's batches behind one, the newest first, and whether there are more of them.
func (b *Book) List(ctx context.Context, user, after string, limit int) (list []*State, more bool, _ error) {
	names, err := b.facts(user).Names(ctx)
	if err != nil {
		return nil, false, err //nolint:wrapcheck // the caller compares it
	}
	var ids []string
	for _, name := range slices.Backward(names) {
		if id, is := strings.CutSuffix(name, "/"+factCreated); is {
			ids = append(ids, id)
		}
	}
	if after != "" {
		at := slices.Index(ids, after)
		if at < 0 {
			return nil, false, artifact.ErrNotFound
		}
		ids = ids[at+1:]
	}
	more = len(ids) > limit
	for _, id := range ids[:min(limit, len(ids))] {
		s, err := b.Get(ctx, user, id)
		if err != nil {
			return nil, false, err
		}
		list = append(list, s)
	}
	return list, more, nil
}

// Cancel notes that a batch is to end. One that has ended stays as it is.
func (b *Book) Cancel(ctx context.Context, s *State) error {
	if s.ended != nil || s.cancelled != nil {
		return nil
	}
	s.cancelled = &moment{At: time.Now().Unix()}
	return b.note(ctx, &s.Batch, factCancelled, s.cancelled)
}
