// Package files has the file objects of the OpenAI API: names and purposes of artifacts. They are records beside
// the files in the store of artifacts, so that every API that has the store knows them, after every restart.
package files

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

// File is a file object, as the API shows it.
type File struct {
	ID        string `json:"id"`
	Object    string `json:"object"`
	Bytes     int64  `json:"bytes"`
	CreatedAt int64  `json:"created_at"`
	ExpiresAt int64  `json:"expires_at"`
	Filename  string `json:"filename"`
	Purpose   string `json:"purpose"`
	Status    string `json:"status"`
}

// record is what is kept of a file.
type record struct {
	File
	Hash string `json:"hash"`
}

// Prefix begins the ids of files.
const Prefix = "file-"

// hashChars are how many digits of its content's hash an id ends with: they tell which files have the same content.
const hashChars = 16

// maxFiles is how many files a user may have.
const maxFiles = 10_000

// ErrTooMany is that the user has as many files as one may.
var ErrTooMany = errors.New("the user has too many files")

// Shelf keeps the files of users. Make one with New.
type Shelf struct{ store *artifact.Store }

// New makes a shelf on a store.
func New(store *artifact.Store) *Shelf { return &Shelf{store: store} }

func (s *Shelf) records(user string) *artifact.Records { return s.store.Records("files", user) }

// FreshID begins the id of a new file: later ones follow earlier ones.
func FreshID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make id: %w", err)
	}
	return Prefix + hex.EncodeToString(id[:]), nil
}

// Save makes an upload a file: begun is the beginning of its id, and what has the same begun and content is the same
// file. It is kept for a time, or as long as the store keeps files if that is zero.
func (s *Shelf) Save(ctx context.Context, user string, of File, upload *artifact.Upload, keep time.Duration) (
	File, error,
) {
	if names, err := s.records(user).Names(ctx); err != nil {
		return File{}, err //nolint:wrapcheck // the caller compares it
	} else if len(names) >= maxFiles {
		return File{}, ErrTooMany
	}
	info, err := upload.Commit(ctx, of.Filename, "application/octet-stream", keep)
	if err != nil {
		return File{}, err //nolint:wrapcheck // the caller compares it
	}
	until := info.ExpiresAt
	if keep > 0 {
		until = info.CreatedAt.Add(keep)
	}
	of.ID += info.Hash[:hashChars]
	of.Object, of.Status, of.Bytes = "file", "processed", info.Size
	of.CreatedAt, of.ExpiresAt = info.CreatedAt.Unix(), until.Unix()
	text, err := json.Marshal(record{of, info.Hash})
	if err != nil {
		return File{}, fmt.Errorf("encode file: %w", err)
	}
	return of, s.records(user).Put(ctx, of.ID, text, until) //nolint:wrapcheck // the caller compares it
}

func (s *Shelf) get(ctx context.Context, user, id string) (r record, _ error) {
	if !strings.HasPrefix(id, Prefix) {
		return record{}, artifact.ErrNotFound
	}
	text, err := s.records(user).Get(ctx, id)
	if err != nil {
		return record{}, err //nolint:wrapcheck // the caller compares it
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, fmt.Errorf("%w: %w", artifact.ErrDamaged, err)
	}
	return r, nil
}

// Get is a user's file. The error is [artifact.ErrNotFound] if the user has none with this id.
func (s *Shelf) Get(ctx context.Context, user, id string) (File, error) {
	r, err := s.get(ctx, user, id)
	return r.File, err
}

// Open opens a file's content, which has to be closed.
func (s *Shelf) Open(ctx context.Context, user, id string) (*artifact.Content, error) {
	r, err := s.get(ctx, user, id)
	if err != nil {
		return nil, err
	}
	content, err := s.store.Open(ctx, user, r.Hash)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller compares it
	}
	if err := content.Check(); err != nil {
		_ = content.Close()
		return nil, err //nolint:wrapcheck // the caller compares it
	}
	return content, nil
}

// Page says which files a list is of.
type Page struct {
	After, Purpose string
	Limit          int
	Ascending      bool
}

// List are a user's files, the newest first, and whether there are more of them.
func (s *Shelf) List(ctx context.Context, user string, p Page) (list []File, more bool, _ error) {
	names, err := s.records(user).Names(ctx)
	if err != nil {
		return nil, false, err //nolint:wrapcheck // the caller compares it
	}
	if !p.Ascending {
		slices.Reverse(names)
	}
	if p.After != "" {
		at := slices.Index(names, p.After)
		if at < 0 {
			return nil, false, artifact.ErrNotFound
		}
		names = names[at+1:]
	}
	list = []File{}
	for _, name := range names {
		f, err := s.Get(ctx, user, name)
		switch {
		case errors.Is(err, artifact.ErrNotFound): // deleted meanwhile
			continue
		case err != nil:
			return nil, false, err
		case p.Purpose != "" && f.Purpose != p.Purpose:
			continue
		case len(list) == p.Limit:
			return list, true, nil
		}
		list = append(list, f)
	}
	return list, false, nil
}

// Delete takes a file from a user, and its content unless another of the user's files has the same.
func (s *Shelf) Delete(ctx context.Context, user, id string) error {
	r, err := s.get(ctx, user, id)
	if err != nil {
		return err
	}
	if err := s.records(user).Delete(ctx, id); err != nil {
		return err //nolint:wrapcheck // the caller compares it
	}
	names, err := s.records(user).Names(ctx)
	if err != nil {
		return err //nolint:wrapcheck // the caller compares it
	}
	for _, name := range names {
		if strings.HasSuffix(name, r.Hash[:hashChars]) {
			return nil
		}
	}
	if err := s.store.Delete(ctx, user, r.Hash); err != nil && !errors.Is(err, artifact.ErrNotFound) {
		return err //nolint:wrapcheck // the caller compares it
	}
	return nil
}
