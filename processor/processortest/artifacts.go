package processortest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// Artifacts keeps files in memory, for tests of services that open or make some: [processor.Artifacts]. The
// zero value is ready, and safe for concurrent use.
type Artifacts struct {
	mu    sync.Mutex
	files map[artifactKey]artifactFile
	open  int
}

type artifactKey struct{ user, hash string }

type artifactFile struct {
	schemas.Artifact
	content []byte
}

// Put stores a file of a user, and gives what stands for it in a task's input.
func (a *Artifacts) Put(user, name, mediaType string, content []byte) schemas.Artifact {
	sum := sha256.Sum256(content)
	stored := schemas.Artifact{
		Hash: hex.EncodeToString(sum[:]), Name: name, Type: cmp.Or(mediaType, "application/octet-stream"),
		Size: int64(len(content)),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.files == nil {
		a.files = map[artifactKey]artifactFile{}
	}
	a.files[artifactKey{user, stored.Hash}] = artifactFile{stored, bytes.Clone(content)}
	return stored
}

// Content is a file of a user, nil if there is none.
func (a *Artifacts) Content(user, hash string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.files[artifactKey{user, hash}].content
}

// NotClosed is how many files are open, for reading or writing.
func (a *Artifacts) NotClosed() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}

func (a *Artifacts) count(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open += n
}

// Open opens a file of a user.
func (a *Artifacts) Open(_ context.Context, user, hash string) (io.ReadSeekCloser, schemas.Artifact, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	file, found := a.files[artifactKey{user, hash}]
	if !found {
		return nil, schemas.Artifact{}, processor.ErrNoArtifact
	}
	a.open++
	return &artifactReader{bytes.NewReader(file.content), sync.OnceFunc(func() { a.count(-1) })}, file.Artifact, nil
}

type artifactReader struct {
	*bytes.Reader
	close func()
}

// Close ends reading.
func (r *artifactReader) Close() error { r.close(); return nil }

// Create begins a file of a user.
func (a *Artifacts) Create(user string) (processor.ArtifactUpload, error) {
	a.count(1)
	return &artifactUpload{all: a, user: user, close: sync.OnceFunc(func() { a.count(-1) })}, nil
}

type artifactUpload struct {
	bytes.Buffer

	all   *Artifacts
	user  string
	close func()
}

// Commit stores the file.
func (u *artifactUpload) Commit(_ context.Context, name, kind string, _ time.Duration) (schemas.Artifact, error) {
	return u.all.Put(u.user, name, kind, u.Bytes()), nil
}

// Close ends the upload.
func (u *artifactUpload) Close() { u.close() }

// WithArtifacts is where the handlers find and put files.
func WithArtifacts(a processor.Artifacts) Option { return func(r *run) { r.artifacts = a } }
